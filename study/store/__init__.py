"""What lasts: the request, the directory of a study, its record in a database, and the lease of its driver."""
