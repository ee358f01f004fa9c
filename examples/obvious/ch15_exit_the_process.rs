//! Chapter 15: to end the loop, end the process.
//!
//! A server that is told to stop while a client is connected. It runs twice, each time as a process of its
//! own that this program starts: once the server calls `exit`, once it ends the loop. Look at what
//! the client hears, what the log has, and what is left on the disk.

use std::fs;
use std::io::{self, BufRead, BufReader, BufWriter, Read, Write};
use std::net::{SocketAddr, TcpStream as Socket};
use std::path::PathBuf;
use std::process::{Command, Stdio};

use greenroom::net::{Connection, Server, TcpListener};

/// A file that says that the server runs; it goes when the server goes.
struct LockFile(PathBuf);

impl Drop for LockFile {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

fn lock_path(of: u32) -> PathBuf {
    std::env::temp_dir().join(format!("greenroom-obvious-15-{of}.lock"))
}

/// Answers one line, then waits for the end, and says goodbye.
async fn converse(mut connection: Connection) {
    let mut buffer = [0; 64];
    let Ok(_) = connection.stream.read(&mut buffer).await else { return };
    let _ = connection.stream.write_all(b"an answer\n").await;
    connection.drain.wait_for_order().await;
    let _ = connection.stream.write_all(b"goodbye\n").await;
}

/// The server: told to stop by whoever connects to its second port.
async fn serve(exit: bool) -> io::Result<()> {
    let lock = LockFile(lock_path(std::process::id()));
    fs::write(&lock.0, "")?;
    let mut log = BufWriter::new(io::stderr());
    writeln!(log, "the last line of the log")?;
    let (listener, stop) = (TcpListener::bind("127.0.0.1:0").await?, TcpListener::bind("127.0.0.1:0").await?);
    println!("{} {}", listener.local_addr()?, stop.local_addr()?);
    let until = async {
        let _ = stop.accept().await;
        if exit {
            std::process::exit(0);
        }
    };
    Server::new(listener).run(until, converse).await.map(drop)
}

/// Starts the server, talks to it, tells it to stop; says what was left.
fn visit(how: &str) -> io::Result<()> {
    let server = std::env::current_exe()?;
    let mut server =
        Command::new(server).args(["15", how]).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
    let lines = BufReader::new(server.stdout.take().expect("it is piped")).lines();
    let addresses: Vec<SocketAddr> = lines
        .map_while(Result::ok)
        .find_map(|line| line.split(' ').map(|word| word.parse().ok()).collect())
        .expect("the server says where it listens");
    let mut client = BufReader::new(Socket::connect(addresses[0])?);
    client.get_mut().write_all(b"a line\n")?;
    let mut answer = String::new();
    client.read_line(&mut answer)?;
    Socket::connect(addresses[1])?;
    client.read_to_string(&mut answer)?;
    let lock = LockFile(lock_path(server.id()));
    let output = server.wait_with_output()?;
    println!("{how}:");
    println!("  the client heard: {answer:?}");
    println!("  the log has:      {:?}", String::from_utf8_lossy(&output.stderr));
    let left =
        if lock.0.exists() { "is still there, and keeps the next server from starting" } else { "is gone" };
    println!("  the lock file:    {left}");
    Ok(())
}

/// Plays the server if asked to, else visits it twice.
pub fn run() {
    let result = match std::env::args().nth(2).as_deref() {
        Some(how) => greenroom::Runtime::new().and_then(|runtime| runtime.block_on(serve(how == "exit"))),
        None => visit("exit").and_then(|()| visit("end the loop")),
    };
    result.expect("there is a loopback interface");
}
