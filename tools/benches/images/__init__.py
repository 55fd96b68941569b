"""What images cost: uploads, downloads, imports, lists."""
