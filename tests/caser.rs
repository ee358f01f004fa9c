//! What the case servers say on the wire and in their log, byte for byte, by whatever pieces the
//! bytes come in.
//!
//! Everything is tested on `caser` (`tasks::...`), on `caser_callbacks` (`callbacks::...`) and on
//! `caser_green` (`green_threads::...`), as processes that listen at ports of their own. Failures of
//! random chunkings name their seed; to replay, put it in the place of the range in
//! `random_pieces_change_nothing`.

#[path = "support/caser/mod.rs"]
mod support;

use greenroom::Rng;
use support::client::{Client, WELCOME};
use support::conversations::{Conversation, load};
use support::on_every_caser;
use support::server::Caser;

on_every_caser![
    all_conversations_go_as_written,
    all_telnet_conversations_go_as_written,
    two_lines_may_be_split_at_any_byte,
    bytes_may_come_one_by_one,
    random_pieces_change_nothing,
    many_lines_may_come_at_once,
    an_answer_does_not_wait_for_the_line_feed,
    a_half_close_ends_the_last_line,
    quit_ends_the_conversation_and_reaches_the_client,
    a_line_of_the_greatest_length_is_answered_and_a_longer_one_is_the_end,
    the_log_shows_who_came_what_they_said_and_that_they_went,
    every_end_is_logged_once,
    announcements_show_the_time,
];

fn play_all(caser: &str, file: &str, expected_count: usize) {
    let server = Caser::start(caser, &[]);
    let conversations = load(file);
    assert_eq!(conversations.len(), expected_count, "conversations in {file}");
    let play = |conversation: &Conversation| conversation.play(server.port).err();
    let problems: Vec<String> = conversations.iter().filter_map(play).collect();
    assert!(problems.is_empty(), "{} failed:\n{}", problems.len(), problems.join("\n"));
}

fn all_conversations_go_as_written(caser: &str) {
    play_all(caser, "public.jsonl", 61);
}

fn all_telnet_conversations_go_as_written(caser: &str) {
    play_all(caser, "telnet.jsonl", 15);
}

const TWO_LINES: &[u8] = b"they're \"na\xc3\xafve\"\r\n\xf0\x9f\x98\x80 \xff done\r\n";
const TWO_ANSWERS: &str =
    "Upper-cased: 'THEY\\'RE \"NA\\xcfVE\"'\r\nUpper-cased: '\\U0001f600 \\udcff DONE'\r\n";

fn two_lines_may_be_split_at_any_byte(caser: &str) {
    let server = Caser::start(caser, &[]);
    let mut witness = Client::welcomed(&server);
    for at in 0..=TWO_LINES.len() {
        let mut client = Client::welcomed(&server);
        client.says(&TWO_LINES[..at]);
        // The server has seen the first part: what was sent later has been answered.
        witness.is_answered();
        client.says(&TWO_LINES[at..]);
        client.hears(TWO_ANSWERS);
    }
}

fn bytes_may_come_one_by_one(caser: &str) {
    let server = Caser::start(caser, &[]);
    let (mut witness, mut client) = (Client::welcomed(&server), Client::welcomed(&server));
    for byte in TWO_LINES {
        client.says([*byte]);
        witness.is_answered();
    }
    client.hears(TWO_ANSWERS);
    client.half_closes();
    client.hears_the_end();
}

fn random_pieces_change_nothing(caser: &str) {
    let server = Caser::start(caser, &[]);
    let conversations: Vec<Conversation> =
        ["public.jsonl", "telnet.jsonl"].into_iter().flat_map(load).collect();
    for seed in 0..4 {
        let mut rng = Rng::new(seed);
        for conversation in conversations.iter().filter(|conversation| conversation.half_close) {
            let input = conversation.input();
            let (mut pieces, mut rest) = (Vec::new(), &input[..]);
            while !rest.is_empty() {
                // Mostly small pieces; but no more than some hundred of a long input.
                let longest = 1 + rng.below(8) + rng.below(2) * input.len() / 100;
                let (piece, later) = rest.split_at(rest.len().min(1 + rng.below(longest)));
                pieces.push(piece);
                rest = later;
            }
            let result = conversation.in_pieces(&pieces).play(server.port);
            assert_eq!(result, Ok(()), "seed {seed}");
        }
    }
}

fn many_lines_may_come_at_once(caser: &str) {
    let server = Caser::start(caser, &[]);
    let mut client = Client::welcomed(&server);
    let lines: String = (0..2000).map(|number| format!("line {number}\n")).collect();
    let answers: String = (0..2000).map(|number| format!("Upper-cased: 'LINE {number}'\r\n")).collect();
    let mut talker = Client { stream: client.stream.try_clone().expect("another descriptor") };
    let talking = std::thread::spawn(move || talker.says(lines));
    client.hears(answers);
    talking.join().expect("all was sent");
    client.is_answered();
}

fn an_answer_does_not_wait_for_the_line_feed(caser: &str) {
    let server = Caser::start(caser, &[]);
    let mut client = Client::welcomed(&server);
    client.says("one\r");
    client.hears("Upper-cased: 'ONE'\r\n");
    client.says("\ntwo\n");
    client.hears("Upper-cased: 'TWO'\r\n");
    client.says("\r");
    client.hears("Upper-cased: ''\r\n");
    client.half_closes();
    client.hears_the_end();
}

fn a_half_close_ends_the_last_line(caser: &str) {
    let server = Caser::start(caser, &[]);
    let mut client = Client::welcomed(&server);
    client.says("title\nlast words");
    client.half_closes();
    client.hears("<switching to title case mode>\r\nTitle-cased: 'Last Words'\r\n");
    client.hears_the_end();
}

fn quit_ends_the_conversation_and_reaches_the_client(caser: &str) {
    let server = Caser::start(caser, &[]);
    let mut client = Client::welcomed(&server);
    // More input than the quit line must neither be answered nor make the goodbye get lost.
    client.says([b"quit \r\n", &b"more\n".repeat(20_000)[..]].concat());
    client.hears("quit\r\n");
    client.hears_the_end();
    // Though the client does not close its side, the visit is soon over.
    let log = server.log_of(&client.name());
    assert_eq!(log.len(), 2, "no line after quit is looked at: {log:?}");
}

fn a_line_of_the_greatest_length_is_answered_and_a_longer_one_is_the_end(caser: &str) {
    let server = Caser::start(caser, &["--max-line", "20"]);
    let mut client = Client::welcomed(&server);
    client.says(["x".repeat(20), "y".repeat(21), "z".into()].join("\r\n"));
    client.hears(format!("Upper-cased: '{}'\r\n", "X".repeat(20)));
    client.hears_the_end();
    server.log_of(&client.name());

    let default = Caser::start(caser, &[]);
    let mut client = Client::welcomed(&default);
    client.says("x".repeat(1 << 20));
    client.says("\n");
    client.hears(format!("Upper-cased: '{}'\r\n", "X".repeat(1 << 20)));
    client.is_answered();
}

fn the_log_shows_who_came_what_they_said_and_that_they_went(caser: &str) {
    let server = Caser::start(caser, &[]);
    let mut client = Client::welcomed(&server);
    let name = client.name();
    client.says("it's \"naïve\" \\ \u{6f22}  \r\n a\tb\x1b[2J\x7f\u{9b}\n\ntitle\nupper\nQUIT\r");
    client.says(b"\n\xff\xc3\x00 \nquit\nunheard\n");
    let answers = [
        WELCOME,
        "Upper-cased: 'IT\\'S \"NA\\xcfVE\" \\\\ \\u6f22'\r\n",
        "Upper-cased: ' A\\tB\\x1b[2J\\x7f\\x9b'\r\n",
        "Upper-cased: ''\r\n",
        "<switching to title case mode>\r\n",
        "<switching to upper case mode>\r\n",
        "Upper-cased: 'QUIT'\r\n",
        "Upper-cased: '\\udcff\\udcc3\\x00'\r\n",
        "quit\r\n",
    ];
    client.hears(answers[1..].concat());
    client.hears_the_end();
    server.log_of(&name);
    let log: Vec<String> = server.end();
    let expected = [
        "Server up, running, and waiting for call on 127.0.0.1 PORT",
        "Received connection from CLIENT",
        "CLIENT --> it's \"naïve\" \\ \u{6f22}",
        "CLIENT -->  a\\tb\\x1b[2J\\x7f\\x9b",
        "CLIENT --> ",
        "CLIENT --> QUIT",
        "CLIENT --> \\udcff\\udcc3\\x00",
        "CLIENT quit",
    ];
    let port = server_port(&log);
    let expected = expected.map(|line| line.replace("PORT", &port).replace("CLIENT", &name));
    // A slow run may have been announced meanwhile.
    let log: Vec<String> = log.into_iter().filter(|line| !line.starts_with("The event loop")).collect();
    assert_eq!(log, expected);
}

fn server_port(log: &[String]) -> String {
    log[0].rsplit(' ').next().expect("a last word").to_string()
}

fn every_end_is_logged_once(caser: &str) {
    let server = Caser::start(caser, &["--max-line", "100", "--idle-timeout", "60"]);
    let mut names = Vec::new();
    for end in ["quit", "half-close", "close", "reset", "reset with answers unread", "long line"] {
        let mut client = Client::welcomed(&server);
        names.push(client.name());
        match end {
            "quit" => client.says("quit\n"),
            "half-close" => client.half_closes(),
            "reset" => client.resets(),
            "reset with answers unread" => {
                client.says("line\n".repeat(50));
                client.resets();
            }
            "long line" => client.says("x".repeat(101)),
            _ => {}
        }
    }
    let stays = Client::welcomed(&server);
    names.push(stays.name());
    for name in &names[..names.len() - 1] {
        server.log_of(name);
    }
    let log = server.end();
    for name in names {
        let about = |what: String| log.iter().filter(|line| **line == what).count();
        assert_eq!(about(format!("Received connection from {name}")), 1, "{name} in {log:#?}");
        assert_eq!(about(format!("{name} quit")), 1, "{name} in {log:#?}");
    }
    drop(stays);
}

fn announcements_show_the_time(caser: &str) {
    let server = Caser::start(caser, &["--announce-every", "0.05"]);
    const START: &str = "The event loop is still running at: ";
    let is_announcement = |line: &&String| line.starts_with(START);
    let three = |lines: &[String]| lines.iter().filter(is_announcement).count() >= 3;
    let log = server.log_when("three announcements", three);
    for line in log.iter().filter(is_announcement) {
        let time = &line[START.len()..];
        // As in `Sat Nov 21 23:06:39 2026`: digits for 0, a digit or a blank for _.
        let form = "Aaa Aaa _0 00:00:00 0000";
        let fits = |(have, want): (char, char)| match want {
            'A' => have.is_ascii_uppercase(),
            'a' => have.is_ascii_lowercase(),
            '0' => have.is_ascii_digit(),
            '_' => have == ' ' || have.is_ascii_digit() && have != '0',
            _ => have == want,
        };
        assert!(time.len() == form.len() && time.chars().zip(form.chars()).all(fits), "{time:?}");
    }
}
