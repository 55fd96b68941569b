"""Questions to feeds: their items as rows of text, chosen by filters."""
