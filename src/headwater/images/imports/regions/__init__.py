"""Images that the Image services of other regions have."""
