use super::{Args, Command, Kind, LogFormat};
use crate::demo::Demo;
use clap::{CommandFactory, Parser};
use std::path::Path;

fn parse(line: &str) -> Result<Command, clap::Error> {
    let words = line.split(' ').map(|word| word.replace('_', " "));
    Args::try_parse_from(words).map(|args| args.command)
}

fn refused(line: &str) -> String {
    parse(line).expect_err(line).to_string()
}

#[test]
fn the_definition_is_sound() {
    Args::command().debug_assert();
}

#[test]
fn serve_takes_its_file_either_way_or_not_at_all() {
    for (line, file) in [
        ("weir serve", None),
        ("weir serve w.yaml", Some("w.yaml")),
        ("weir serve --config w.yaml", Some("w.yaml")),
    ] {
        let Command::Serve(serve) = parse(line).unwrap() else { panic!("{line}") };
        assert_eq!((serve.log.level.as_str(), serve.log.format), ("info", LogFormat::Text));
        assert_eq!(serve.config.file().as_deref(), file.map(Path::new), "{line}");
    }
    let line = "weir serve --address 0.0.0.0:80 --log debug --log-format json";
    let Command::Serve(serve) = parse(line).unwrap() else { panic!("{line}") };
    assert_eq!(serve.address.unwrap().port(), 80);
    assert_eq!((serve.log.level.as_str(), serve.log.format), ("debug", LogFormat::Json));
    assert!(refused("weir serve --config a.yaml b.yaml").contains("cannot be used with"));
    assert!(refused("weir serve --address localhost").contains("--address"));
}

#[test]
fn check_needs_a_file() {
    for line in ["weir check w.yaml", "weir check --config w.yaml"] {
        let Command::Check { config, connect } = parse(line).unwrap() else { panic!("{line}") };
        assert_eq!(config.file(), Path::new("w.yaml"));
        assert!(!connect.connect);
    }
    let Command::Check { connect, .. } = parse("weir check --connect --json --strict w.yaml").unwrap() else {
        panic!("it is another command")
    };
    assert!(connect.connect && connect.json && connect.strict);
    assert!(refused("weir check --json w.yaml").contains("--connect"));
    assert!(refused("weir check").contains("FILE"));
}

#[test]
fn import_names_its_output_and_may_name_its_source() {
    let Command::Import(import) = parse("weir import mcp.json").unwrap() else {
        panic!("it is another command")
    };
    assert_eq!((import.output.as_path(), import.from, import.force), (Path::new("weir.yaml"), None, false));
    let line = "weir import x -o - --from toolhive --force";
    let Command::Import(import) = parse(line).unwrap() else { panic!("{line}") };
    assert_eq!((import.output.as_path(), import.from), (Path::new("-"), Some(Kind::Toolhive)));
    assert!(refused("weir import").contains("FILE"));
}

#[test]
fn call_takes_an_object_and_headers() {
    let line = "weir call now --args {\"offset\":\"UTC\"} -H Authorization:_Bearer_x:y --header X-Team:a";
    let Command::Call { name, arguments, endpoint } = parse(line).unwrap() else { panic!("{line}") };
    assert_eq!((name.as_str(), &arguments.0["offset"]), ("now", &"UTC".into()));
    assert_eq!(endpoint.url, "http://127.0.0.1:4483/mcp");
    let headers = endpoint.headers.iter().map(|header| (header.name.as_str(), header.value.as_str()));
    assert_eq!(headers.collect::<Vec<_>>(), [("Authorization", "Bearer x:y"), ("X-Team", "a")]);
    assert!(!format!("{endpoint:?}").contains("Bearer"));
    for (line, part) in [
        ("weir call", "NAME"),
        ("weir call now --args [1]", "JSON object"),
        ("weir call now --args {", "not valid JSON"),
        ("weir call now -H Authorization", "Name: value"),
        ("weir call now -H A_B:c", "letters"),
        ("weir call now -H A:b\nc", "one line"),
    ] {
        assert!(refused(line).contains(part), "{line}: {}", refused(line));
    }
}

#[test]
fn what_weir_starts_itself_is_understood_but_not_shown() {
    assert!(matches!(parse("weir guard"), Ok(Command::Guard)));
    assert!(matches!(parse("weir demo clock"), Ok(Command::Demo { name: Demo::Clock })));
    assert!(matches!(parse("weir demo notes"), Ok(Command::Demo { name: Demo::Notes })));
    let help = Args::command().render_long_help().to_string();
    assert!(help.contains("serve") && !help.contains("guard") && !help.contains("demo server"), "{help}");
}
