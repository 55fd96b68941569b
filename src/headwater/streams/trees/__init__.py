"""What holds a feed: a directory, a web server, an S3 bucket, a Swift container."""
