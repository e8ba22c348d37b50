//! Messages behind 4 bytes of length, as tutorials send them, over our `TcpStream`: no halloo/1.
//!
//! ```sh
//! cargo run --example length_prefixed serve 127.0.0.1:9000
//! cargo run --example length_prefixed ask 127.0.0.1:9000 hello world
//! ```

use std::error::Error;

use embedded_io::{Read, Write};
use halloo_core::frame::{Decoder, Framing, Length32, buffer_bytes};
use halloo_std::socket::{Options, TcpListener, TcpStream};

/// The largest message.
const LARGEST: usize = 4096;

const BUFFER: usize = buffer_bytes::<Length32>(LARGEST);

/// A connection that carries messages.
pub(crate) struct Messages {
    stream: TcpStream,
    decoder: Decoder<Length32, BUFFER>,
    out: [u8; BUFFER],
}

impl Messages {
    pub(crate) fn new(stream: TcpStream) -> Self {
        Self {
            stream,
            decoder: Decoder::new(Length32::new(LARGEST)),
            out: [0; BUFFER],
        }
    }

    /// Sends one message, however large its pieces are that the system takes.
    pub(crate) fn send(&mut self, message: &[u8]) -> Result<(), Box<dyn Error>> {
        let room = self.out.get_mut(Length32::HEADER..);
        let room = room.and_then(|room| room.get_mut(..message.len()));
        room.ok_or("the message is too large")?
            .copy_from_slice(message);
        let sealed = Length32::new(LARGEST).seal(&mut self.out, message.len())?;
        Ok(self.stream.write_all(&self.out[..sealed])?)
    }

    /// The next message, however it was cut on its way; `None` where the stream ends.
    pub(crate) fn receive(&mut self) -> Result<Option<Vec<u8>>, Box<dyn Error>> {
        loop {
            if let Some(frame) = self.decoder.poll_frame()? {
                return Ok(Some(self.decoder.bytes(frame).to_vec()));
            }
            let read = Read::read(&mut self.stream, self.decoder.room())?;
            if read == 0 {
                self.decoder.end()?;
                return Ok(None);
            }
            self.decoder.commit(read);
        }
    }
}

/// Answers each message of one connection in capitals.
pub(crate) fn serve(listener: &TcpListener) -> Result<(), Box<dyn Error>> {
    let mut messages = Messages::new(listener.accept(None)?);
    while let Some(message) = messages.receive()? {
        messages.send(&message.to_ascii_uppercase())?;
    }
    Ok(())
}

fn main() -> Result<(), Box<dyn Error>> {
    let options = Options::default();
    let mut args = std::env::args().skip(1);
    match (args.next().as_deref(), args.next()) {
        (Some("serve"), Some(address)) => {
            let listener = TcpListener::bind(&*address, &options)?;
            println!("listening on {}", listener.local_addr()?);
            serve(&listener)
        }
        (Some("ask"), Some(address)) => {
            let mut messages = Messages::new(TcpStream::connect(&*address, &options)?);
            for message in args {
                messages.send(message.as_bytes())?;
                let answer = messages.receive()?.ok_or("the server closed")?;
                println!("{}", String::from_utf8_lossy(&answer));
            }
            Ok(())
        }
        _ => Err("serve ADDRESS, or ask ADDRESS MESSAGE...".into()),
    }
}
