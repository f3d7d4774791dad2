mod emulator;
mod wire;
