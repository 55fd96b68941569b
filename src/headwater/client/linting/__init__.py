"""What images say of themselves, held against what a standard wants of them."""
