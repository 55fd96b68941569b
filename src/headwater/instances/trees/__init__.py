"""An Instance to the documents that its guest reads: pure, one module for each family of documents."""
