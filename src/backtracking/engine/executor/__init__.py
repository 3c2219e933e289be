"""Who does the work on a model: this process, or workers on Ray that hold one model each."""
