//! Somebody who talks to a case server and knows what to expect.

use std::io::{ErrorKind, Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpStream};
use std::time::Duration;

use socket2::{Domain, Socket, Type};

use super::LONG;
use super::server::Caser;

/// What a server says first.
pub const WELCOME: &str = "<welcome: starting in upper case mode>\n";

/// A connection to a server.
pub struct Client {
    /// The connection; blocking, and patient for `LONG`.
    pub stream: TcpStream,
}

impl Client {
    /// Somebody who has connected but has not read the welcome.
    pub fn connect(port: u16) -> Client {
        Client::with(TcpStream::connect((Ipv4Addr::LOCALHOST, port)).expect("the server takes connections"))
    }

    fn with(stream: TcpStream) -> Client {
        stream.set_nodelay(true).expect("an option");
        stream.set_read_timeout(Some(LONG)).expect("an option");
        stream.set_write_timeout(Some(LONG)).expect("an option");
        Client { stream }
    }

    /// Somebody who was welcomed, and whose side of the connection keeps little of what he does not
    /// read, so that the server soon notices.
    #[track_caller]
    pub fn welcomed_with_little_room(server: &Caser) -> Client {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket");
        // To be set before connecting, see tcp(7).
        socket.set_recv_buffer_size(4096).expect("an option");
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, server.port));
        socket.connect(&address.into()).expect("the server takes connections");
        let mut client = Client::with(socket.into());
        client.hears(WELCOME);
        client
    }

    /// Somebody who was welcomed.
    #[track_caller]
    pub fn welcomed(server: &Caser) -> Client {
        let mut client = Client::connect(server.port);
        client.hears(WELCOME);
        client
    }

    /// The client as the log calls it.
    pub fn name(&self) -> String {
        let address = self.stream.local_addr().expect("an address");
        format!("('{}', {})", address.ip(), address.port())
    }

    /// Sends these bytes.
    #[track_caller]
    pub fn says(&mut self, bytes: impl AsRef<[u8]>) {
        self.stream.write_all(bytes.as_ref()).expect("the server takes what we say");
    }

    /// Reads as many bytes as are expected, and compares.
    #[track_caller]
    pub fn hears(&mut self, expected: impl AsRef<[u8]>) {
        let expected = expected.as_ref();
        let mut heard = vec![0; expected.len()];
        let result = self.stream.read_exact(&mut heard);
        let shown = String::from_utf8_lossy(&heard);
        result.unwrap_or_else(|error| panic!("{error} instead of {:?}", String::from_utf8_lossy(expected)));
        assert_eq!(shown, String::from_utf8_lossy(expected));
    }

    /// Says a line, in upper case mode, and hears the answer.
    #[track_caller]
    pub fn is_answered(&mut self) {
        self.says("ping\r\n");
        self.hears("Upper-cased: 'PING'\r\n");
    }

    /// Reads the end of the connection, and nothing before it.
    #[track_caller]
    pub fn hears_the_end(&mut self) {
        let mut rest = Vec::new();
        self.stream.read_to_end(&mut rest).expect("the connection ends in good order");
        assert_eq!(String::from_utf8_lossy(&rest), "", "nothing comes before the end");
    }

    /// Reads whatever comes until the end, which may be a bad one.
    pub fn hears_some_end(&mut self) {
        let mut buffer = [0; 64 * 1024];
        loop {
            match self.stream.read(&mut buffer) {
                Ok(0) => return,
                Ok(_) => {}
                Err(error) if matches!(error.kind(), ErrorKind::ConnectionReset | ErrorKind::BrokenPipe) => {
                    return;
                }
                Err(error) => panic!("the connection does not end: {error}"),
            }
        }
    }

    /// Says no more, but still listens.
    pub fn half_closes(&self) {
        self.stream.shutdown(Shutdown::Write).expect("the connection is open");
    }

    /// Sends lines and reads no answer, until the server takes no more of them for a while, or
    /// sends us away; returns how many bytes it took.
    pub fn talks_without_listening(&mut self, line: &[u8], at_most: usize) -> usize {
        self.stream.set_write_timeout(Some(Duration::from_millis(300))).expect("an option");
        let many = line.repeat((64 * 1024 / line.len()).max(1));
        let mut sent = 0;
        while sent < at_most {
            match self.stream.write(&many[sent % many.len()..]) {
                Ok(count) => sent += count,
                Err(_) => break,
            }
        }
        self.stream.set_write_timeout(Some(LONG)).expect("an option");
        sent
    }

    /// Goes away without a word: the server gets a reset.
    pub fn resets(self) {
        let linger = socket2::SockRef::from(&self.stream).set_linger(Some(Duration::ZERO));
        linger.expect("an option");
    }
}
