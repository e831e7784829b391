"""Measures a whole bring-up, beside a plain sequential script that does the same. It reports and asserts no times."""
