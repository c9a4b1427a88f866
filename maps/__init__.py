"""What people look at: the map site, tables and their words."""
