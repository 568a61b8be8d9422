use stamina::Retry;

fn main() {
    let _ = Retry::on::<String>().call(|| Some(1));
    let _ = Retry::on::<String>().call(|| async { Ok::<u8, String>(1) });
    let _ = Retry::on::<String>().call_async(|| Ok::<u8, String>(1));
    let _ = Retry::on::<String>().call(|| Err::<u8, &str>("another error"));
    let _ = Retry::on::<String>().when(|_| "yes");
}
