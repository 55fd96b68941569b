"""How an import is carried out: its job, where its bytes come from, their way, and what the catalogue is told."""
