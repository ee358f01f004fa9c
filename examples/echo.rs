//! Sends every byte back, on a task per connection: the smallest server.
//!
//! ```text
//! cargo run --release --example echo -- 7000      then, elsewhere:  nc 127.0.0.1 7000
//! ```
//!
//! What you type comes back, line by line. Ctrl-C ends the server once its connections are done.

use greenroom::net::{Connection, Server, TcpListener, TcpStream};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let port = std::env::args().nth(1).unwrap_or("7000".into());
    let runtime = greenroom::Runtime::new()?;
    runtime.block_on(async {
        let listener = TcpListener::bind(format!("127.0.0.1:{port}")).await?;
        println!("echo at {}", listener.local_addr()?);
        let interrupted = async { drop(greenroom::ctrl_c().await) };
        let serve = async |connection: Connection| {
            if let Err(error) = echo(&connection.stream).await {
                eprintln!("{}: {error}", connection.peer);
            }
        };
        let report = Server::new(listener).run(interrupted, serve).await?;
        println!("{report}");
        Ok(())
    })
}

/// Sends back what comes, until the peer has said all it had to say.
async fn echo(stream: &TcpStream) -> std::io::Result<()> {
    let mut buffer = [0; 4096];
    loop {
        let count = stream.read(&mut buffer).await?;
        if count == 0 {
            return Ok(());
        }
        stream.write_all(&buffer[..count]).await?;
    }
}
