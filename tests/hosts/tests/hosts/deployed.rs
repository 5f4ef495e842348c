//! What exists after a deployment: the emulator calls a stack complete whatever it has left out.
