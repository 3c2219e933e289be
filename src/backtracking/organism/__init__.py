"""The bundled tiny reasoner: its task, its training, its evaluation."""
