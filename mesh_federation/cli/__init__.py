"""What a person types besides `pulumi`: thin commands over the model, the toolchain and the engine."""
