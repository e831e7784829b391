"""Gets every program that a federation needs: official releases first, Go modules where those are unreachable."""
