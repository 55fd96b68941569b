"""What a machine shows to prove which one it is: short-lived tokens that we sign, and the keys to check them."""
