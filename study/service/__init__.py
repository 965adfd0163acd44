"""The web service over the studies of one directory: pages, a JSON API, and the processes that it starts."""
