"""Every file of a run as an object: name, maker, what its columns mean, reader and writer."""
