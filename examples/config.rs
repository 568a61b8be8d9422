//! ```sh
//! cargo run --example config --features serde
//! ```
//!
//! Read the numbers of a policy from a configuration file. What they apply to stays in the code.

use std::collections::BTreeMap;
use std::error::Error;
use std::io;
use std::time::Duration;

use stamina::{Retry, Settings, when};

const FILE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/examples/config.toml");

fn main() -> Result<(), Box<dyn Error>> {
    let settings: BTreeMap<String, Settings> = toml::from_str(&std::fs::read_to_string(FILE)?)?;

    for (name, settings) in &settings {
        println!("[{name}]\n{}", toml::to_string(settings)?);
    }

    let database = Retry::on::<io::Error>()
        .when(when::transient_io)
        .with_settings(settings["database"]);
    println!("The waits for the database:\n\n{}\n", database.schedule());
    assert_eq!(database.schedule().count(), 4);
    assert!(
        database
            .schedule()
            .all(|(_, longest)| longest <= Duration::from_millis(500))
    );
    assert_eq!(settings["search"].attempts, None);
    assert_eq!(settings["search"].wait_max, Settings::DEFAULT.wait_max);

    println!("A wrong setting is refused when the file is read:\n");
    for wrong in [
        "atempts = 3",
        "attempts = 0",
        "wait_max = '5 parsecs'",
        "wait_exp_base = 0.5",
    ] {
        let error = toml::from_str::<Settings>(wrong).expect_err(wrong);
        println!("{error}");
        assert!(
            error
                .message()
                .contains(wrong.split(' ').next().unwrap_or_default())
        );
    }
    Ok(())
}
