"""Where in a reasoning language model does "Wait" come from, and can it be turned down?"""

__version__ = "0.1.0"
