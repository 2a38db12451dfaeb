//! Prints the folder of all-MiniLM-L6-v2 in the cache, and downloads it there first when it is missing; for scripts.

fn main() -> anyhow::Result<()> {
    use std::io::Write as _;

    let folder = standalone::Toolbox::from_env().model("all-MiniLM-L6-v2")?;
    writeln!(std::io::stdout(), "{}", folder.display())?;
    Ok(())
}
