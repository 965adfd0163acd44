"""Running a study: the driver, Ray Tune's searcher, the workers, what the terminal shows, and confirmation."""
