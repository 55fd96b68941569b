"""What the operator of the cloud tells every instance: a file, and services that are asked about each of them."""
