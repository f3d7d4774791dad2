//! Every platform over a socket: the requests of the provider, byte for byte, and its handling of each response.

mod activeloop;
mod gemini;
mod llamacloud;
mod local;
mod metorial;
mod mistral;
mod openai;
mod replicate;
mod together;
mod xai;
