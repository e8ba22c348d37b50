//! `halloo completions` and `halloo man`: what a shell and a manual know of this command.

use clap::Command;
use clap_complete::Shell;
use clap_mangen::Man;

use super::failure::Failure;
use super::output::put;

/// Print completions for a shell
///
/// Examples:
///   halloo completions bash > ~/.local/share/bash-completion/completions/halloo
///   halloo completions zsh > ~/.zfunc/_halloo
///   halloo completions fish > ~/.config/fish/completions/halloo.fish
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct CompletionsArgs {
    /// The shell
    shell: Shell,
}

/// Print a manual page
///
/// Examples:
///   halloo man | man -l -
///   halloo man connect > halloo-connect.1
///   halloo man log verify > halloo-log-verify.1
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct ManArgs {
    /// The subcommand, and one of its own; without one, the page of halloo itself
    command: Vec<String>,
}

pub(crate) fn completions(args: &CompletionsArgs, mut command: Command) -> Result<(), Failure> {
    let mut text = Vec::new();
    clap_complete::generate(args.shell, &mut command, "halloo", &mut text);
    put(&text)
}

pub(crate) fn man(args: &ManArgs, mut command: Command) -> Result<(), Failure> {
    command.build();
    let mut path = command.get_name().to_string();
    for name in &args.command {
        let found = command.find_subcommand(name).cloned();
        command = found.ok_or_else(|| {
            Failure::Start(format!("there is no command {name:?}: see {path} --help"))
        })?;
        path = format!("{path} {name}");
    }
    let mut text = Vec::new();
    let rendered = Man::new(command).render(&mut text);
    rendered.map_err(|e| Failure::from_stdio(&e))?;
    put(&text)
}
