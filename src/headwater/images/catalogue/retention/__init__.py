"""When images were last used, and what else decides whether one may go."""
