"""Which files a data set consists of, and in which class, group and split each of them is."""
