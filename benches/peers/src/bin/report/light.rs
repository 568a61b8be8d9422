pub fn section() -> Result<String, String> { Err("todo".to_owned()) }
