"""Installs every program that a federation needs: official releases, or Go modules where those cannot be downloaded."""
