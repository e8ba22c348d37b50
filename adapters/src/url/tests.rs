use proptest::prelude::*;

use super::*;

fn tcp(host: &str, port: u16) -> Transport {
    let host = host.into();
    Transport::Tcp { host, port }
}

fn udp(host: &str, port: u16) -> Transport {
    let host = host.into();
    Transport::Udp { host, port }
}

#[track_caller]
fn good(url: &str, protocol: Protocol, transport: Transport) -> UrlOptions {
    let endpoint = Endpoint::parse(url, Protocol::Json).unwrap_or_else(|e| panic!("{e}"));
    assert_eq!(endpoint.protocol, protocol, "{url}");
    assert_eq!(endpoint.transport, transport, "{url}");
    let shown = endpoint.to_string();
    assert_eq!(
        shown.parse(),
        Ok(endpoint.clone()),
        "{url} shown as {shown}"
    );
    endpoint.options
}

#[track_caller]
fn bad(url: &str, problem: UrlProblem) {
    let error = Endpoint::parse(url, Protocol::Echo).unwrap_err();
    assert_eq!(error.problem, problem, "{url}");
    let text = error.to_string();
    assert!(text.contains(url), "{text}");
    assert!(error.example.parse::<Endpoint>().is_ok(), "{text}");
}

#[test]
fn every_kind_of_url_is_parsed_and_shown_again() {
    use Protocol::{Chat, Echo, Greet, Json};
    let none = UrlOptions::default();
    let cases = [
        ("chat+tcp://127.0.0.1:7007", Chat, tcp("127.0.0.1", 7007)),
        ("json+tcp://[::1]:8083", Json, tcp("::1", 8083)),
        ("echo+udp://127.0.0.1:65433", Echo, udp("127.0.0.1", 65433)),
        ("greet+tcp://hub.example:0", Greet, tcp("hub.example", 0)),
        ("tcp://localhost:80", Json, tcp("localhost", 80)),
        ("udp://localhost:80/", Json, udp("localhost", 80)),
        ("CHAT+TCP://Hub_1:1", Chat, tcp("Hub_1", 1)),
        ("chat+tcp://127.0.0.1", Chat, tcp("127.0.0.1", 7007)),
        ("chat+udp://[::]", Chat, udp("::", 7007)),
        ("chat+tcp://[fe80::1%eth0]:1", Chat, tcp("fe80::1%eth0", 1)),
        (
            "chat+tcp://[fe80::1%25eth0]:1",
            Chat,
            tcp("fe80::1%eth0", 1),
        ),
        ("chat+tcp://[fe80::1%2525]:1", Chat, tcp("fe80::1%25", 1)),
        ("chat+tcp://127.0.0.1:7?", Chat, tcp("127.0.0.1", 7)),
    ];
    for (url, protocol, transport) in cases {
        assert_eq!(good(url, protocol, transport), none, "{url}");
    }
    let paths = [
        ("chat+unix:/run/halloo.sock", Chat, "/run/halloo.sock"),
        ("chat+unix:///run/halloo.sock", Chat, "/run/halloo.sock"),
        ("unix:beside.sock", Json, "beside.sock"),
        ("echo+unix:/a b%20c%3F", Echo, "/a b c?"),
        ("echo+unix:////x", Echo, "//x"),
        ("echo+unix:/run/a:b+c#d", Echo, "/run/a:b+c#d"),
    ];
    let line = |host: &str, port| Transport::CobsTcp {
        host: host.into(),
        port,
    };
    for (url, protocol, transport) in [
        (
            "chat+cobs+tcp://127.0.0.1:7070",
            Chat,
            line("127.0.0.1", 7070),
        ),
        ("cobs+tcp://[::1]:7070", Json, line("::1", 7070)),
        ("chat+cobs+tcp://board", Chat, line("board", 7007)),
        (
            "chat+serial:/dev/ttyUSB0",
            Chat,
            Transport::Serial("/dev/ttyUSB0".into()),
        ),
        (
            "serial:///dev/ttyACM0",
            Json,
            Transport::Serial("/dev/ttyACM0".into()),
        ),
    ] {
        assert_eq!(good(url, protocol, transport), none, "{url}");
    }
    let options = good("chat+cobs+tcp://h:1?connect&baud=9600", Chat, line("h", 1));
    assert_eq!((options.connect, options.baud), (Some(true), Some(9600)));
    let port = Transport::Serial("/dev/ttyS1".into());
    assert_eq!(
        good("serial:/dev/ttyS1?baud=921600", Json, port).baud,
        Some(921_600)
    );
    for (url, protocol, path) in paths {
        assert_eq!(good(url, protocol, Transport::Unix(path.into())), none);
    }
}

#[test]
fn options_are_taken_raw_or_escaped() {
    let prefix = |url| good(url, Protocol::Echo, tcp("h", 1)).prefix;
    assert_eq!(
        prefix("echo+tcp://h:1?prefix=Echo: "),
        Some("Echo: ".into())
    );
    assert_eq!(
        prefix("echo+tcp://h:1?prefix=Echo:%20"),
        Some("Echo: ".into())
    );
    assert_eq!(
        prefix("echo+tcp://h:1?prefix=a+b=c?#/%26"),
        Some("a+b=c?#/&".into())
    );
    assert_eq!(prefix("echo+tcp://h:1?prefix="), Some(String::new()));
    assert_eq!(prefix("echo+tcp://h:1?nodelay=off"), None);
    assert_eq!(prefix("echo+tcp://h:1/?prefix=%C3%A9é"), Some("éé".into()));

    let text = good(
        "greet+tcp://h:1?text=Hello%0D%0A",
        Protocol::Greet,
        tcp("h", 1),
    )
    .text;
    assert_eq!(text.as_deref(), Some("Hello\r\n"));
    let unix = Transport::Unix("/s".into());
    let options = good("chat+unix:/s?mode=0660&backlog=5", Protocol::Chat, unix);
    assert_eq!((options.mode, options.backlog), (Some(0o660), Some(5)));
}

#[test]
fn what_a_url_says_about_the_socket_is_laid_over_the_base() {
    let url = "chat+tcp://h:1?nodelay=off&keepalive=30&v6only=on&backlog=9";
    let endpoint: Endpoint = url.parse().unwrap();
    let base = Options {
        mode: Some(0o600),
        ..Options::default()
    };
    let options = endpoint.socket_options(&base);
    assert!(!options.nodelay && options.v6only);
    assert_eq!(options.backlog, 9);
    assert_eq!(options.mode, Some(0o600));
    let keepalive = options.keepalive.unwrap();
    assert_eq!(keepalive.idle, Duration::from_secs(30));
    assert_eq!(keepalive.retries, Keepalive::default().retries);

    let plain: Endpoint = "chat+tcp://h:1".parse().unwrap();
    assert_eq!(plain.socket_options(&base), base);
}

#[test]
fn each_wrong_url_is_told_what_is_wrong_with_it() {
    use UrlProblem as P;
    for url in [
        "",
        "127.0.0.1",
        "localhost:80",
        "http://h:1",
        "chat://h:1",
        "talk+tcp://h:1",
    ] {
        bad(url, P::Scheme);
    }
    for url in [
        "chat+",
        "chat+tcp",
        "+tcp://h:1",
        "chat+json+tcp://h:1",
        "tcp+chat://h:1",
    ] {
        bad(url, P::Scheme);
    }
    for url in [
        "tcp:h:1",
        "tcp:/h:1",
        "tcp:///h:1",
        "unix://run/x",
        "unix://",
        "udp:",
    ] {
        bad(url, P::Slashes);
    }
    bad("tcp://:1", P::NoHost);
    bad("tcp://", P::NoHost);
    bad("tcp://h", P::NoPort);
    bad("json+tcp://[::1]", P::NoPort);
    bad("greet+udp://h?text=x", P::NoPort);
    for port in ["", "65536", "-1", "+1", "80x", " 80"] {
        bad(&format!("tcp://h:{port}"), P::Port(port.into()));
    }
    bad("tcp://::1:80", P::Host("::1".into()));
    bad("tcp://a b:80", P::Host("a b".into()));
    bad("tcp://me@h:80", P::Host("me@h".into()));
    bad("tcp://[::1:80", P::Host("[::1:80".into()));
    bad("tcp://[::1]80", P::Host("[::1]80".into()));
    bad("tcp://[127.0.0.1]:80", P::Host("[127.0.0.1]:80".into()));
    bad("tcp://[fe80::1%25]:80", P::Host("[fe80::1%25]:80".into()));
    bad("tcp://h:80/room", P::PathAfterPort("/room".into()));
    bad("unix:", P::Path);
    bad("unix:?mode=660", P::Path);
    bad("unix:/a%00b", P::Path);
    for value in ["100%", "%zz", "%2", "%", "a%%20", "%FF"] {
        bad(
            &format!("tcp://h:1?prefix={value}"),
            P::Escape(value.into()),
        );
    }
    bad(
        "tcp://h:1?prefix=a&prefix=b",
        P::OptionTwice("prefix".into()),
    );
}

#[test]
fn an_unknown_option_is_named_with_those_that_there_are() {
    let unknown = |url: &str, key: &str, known: &str| {
        let problem = UrlProblem::UnknownOption {
            key: key.into(),
            known: known.into(),
            follows: url.contains('&'),
        };
        bad(url, problem);
    };
    let echo_tcp = "prefix, nodelay, keepalive, v6only, backlog";
    unknown("echo+tcp://h:1?perfix=x", "perfix", echo_tcp);
    unknown("echo+tcp://h:1?text=x", "text", echo_tcp);
    unknown("echo+tcp://h:1?=x", "", echo_tcp);
    unknown("echo+tcp://h:1?prefix=Tom & Jerry: ", " Jerry: ", echo_tcp);
    unknown("chat+udp://h:1?nodelay=on", "nodelay", "v6only");
    unknown(
        "echo+udp://h:1?nodelay=on",
        "nodelay",
        "prefix, guard, v6only",
    );
    unknown("chat+serial:/dev/x?mode=660", "mode", "baud");
    unknown(
        "greet+unix:/x?v6only=on",
        "v6only",
        "text, type, mode, backlog",
    );
}

#[test]
fn a_value_that_an_option_does_not_take_is_named() {
    let wrong = |url: &str, key, value: &str, takes| {
        let value = value.into();
        bad(url, UrlProblem::OptionValue { key, value, takes });
    };
    wrong("tcp://h:1?nodelay=maybe", "nodelay", "maybe", "on or off");
    wrong("tcp://h:1?nodelay", "nodelay", "", "on or off");
    let takes = "a number of bits a second such as 115200";
    wrong("chat+serial:/dev/x?baud=0", "baud", "0", takes);
    wrong("chat+serial:/dev/x?baud=fast", "baud", "fast", takes);
    wrong(
        "cobs+tcp://h:1?connect=maybe",
        "connect",
        "maybe",
        "on or off",
    );
    wrong("tcp://h:1?backlog=+5", "backlog", "+5", "a number");
    wrong(
        "tcp://h:1?keepalive=0",
        "keepalive",
        "0",
        "a number of seconds from 1 up",
    );
    let takes = "stream, datagram or seqpacket";
    wrong("echo+unix:/x?type=packet", "type", "packet", takes);
    for mode in ["", "888", "0o660", "7777"] {
        let takes = "octal permissions such as 660";
        wrong(&format!("unix:/x?mode={mode}"), "mode", mode, takes);
    }
}

fn any_protocol() -> impl Strategy<Value = Protocol> {
    use Protocol::{Chat, Echo, Greet, Json};
    prop::sample::select(vec![Chat, Json, Echo, Greet])
}

fn any_transport() -> impl Strategy<Value = Transport> {
    let v6 = any::<[u8; 16]>().prop_map(|b| std::net::Ipv6Addr::from(b).to_string());
    let host = prop_oneof!["[a-zA-Z0-9_][a-zA-Z0-9._-]{0,20}", v6];
    let path = prop::collection::vec(1u8..=255, 1..40).prop_map(|bytes| {
        use std::os::unix::ffi::OsStringExt;
        PathBuf::from(std::ffi::OsString::from_vec(bytes))
    });
    prop_oneof![
        (host.clone(), any::<u16>()).prop_map(|(host, port)| Transport::Tcp { host, port }),
        (host.clone(), any::<u16>()).prop_map(|(host, port)| Transport::Udp { host, port }),
        (host, any::<u16>()).prop_map(|(host, port)| Transport::CobsTcp { host, port }),
        path.clone().prop_map(Transport::Unix),
        path.prop_map(Transport::Serial),
    ]
}

proptest! {
    #[test]
    fn a_shown_endpoint_parses_to_the_same(
        protocol in any_protocol(),
        transport in any_transport(),
        words in any::<Option<String>>(),
        number in any::<Option<u32>>(),
        flag in any::<Option<bool>>(),
    ) {
        let tcp = matches!(transport, Transport::Tcp { .. });
        let udp = matches!(transport, Transport::Udp { .. });
        let unix = matches!(transport, Transport::Unix(_));
        let line = matches!(transport, Transport::CobsTcp { .. });
        let serial = matches!(transport, Transport::Serial(_));
        let options = UrlOptions {
            prefix: words.clone().filter(|_| protocol == Protocol::Echo),
            text: words.filter(|_| protocol == Protocol::Greet),
            guard: flag.filter(|_| udp && matches!(protocol, Protocol::Echo | Protocol::Greet)),
            kind: number
                .map(|n| [UnixKind::Stream, UnixKind::Datagram, UnixKind::Seqpacket][n as usize % 3])
                .filter(|_| unix && matches!(protocol, Protocol::Echo | Protocol::Greet)),
            mode: number.map(|n| n & 0o777).filter(|_| unix),
            nodelay: flag.filter(|_| tcp || line),
            keepalive: number.map(|n| n.max(1)).filter(|_| tcp || line),
            v6only: flag.filter(|_| !unix && !serial),
            baud: number.map(|n| n.max(1)).filter(|_| line || serial),
            connect: flag.filter(|_| line),
            backlog: number.filter(|_| tcp || line || unix),
        };
        let endpoint = Endpoint { protocol, transport, options };
        prop_assert_eq!(endpoint.to_string().parse(), Ok(endpoint));
    }

    #[test]
    fn any_text_is_parsed_or_refused_and_what_is_parsed_is_shown_the_same(
        text in "((chat|echo|greet)[+])?(tcp|udp|unix|serial|cobs[+]tcp):(//)?\\PC{0,30}",
    ) {
        if let Ok(endpoint) = text.parse::<Endpoint>() {
            prop_assert_eq!(endpoint.to_string().parse(), Ok(endpoint));
        }
    }
}
