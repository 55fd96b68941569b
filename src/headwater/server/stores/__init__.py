"""The stores of one service: found at its start, and looked after while it runs."""
