//! What the tests of the command share: a scratch folder, small signals, and running `rwf`.
#![allow(dead_code, unreachable_pub, reason = "each test file uses its part")]

use std::{
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
};

/// A folder of its own for one test.
pub struct Bench {
    folder: tempfile::TempDir,
}

impl Bench {
    pub fn new() -> Self {
        Self { folder: tempfile::tempdir().expect("a temporary folder") }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub fn write(&self, name: &str, bytes: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path(name);
        std::fs::write(&path, bytes).expect("a writable folder");
        path
    }

    /// A small image with soft shapes in it.
    pub fn image(&self, name: &str) -> PathBuf {
        let path = self.path(name);
        image::RgbImage::from_fn(24, 16, |x, y| {
            let (u, v) = (x as f32 / 24.0, y as f32 / 16.0);
            let wave = |f: f32| (127.0 + 120.0 * (f * u + 2.0 * v).sin()) as u8;
            image::Rgb([wave(5.0), wave(3.0), (255.0 * v) as u8])
        })
        .save(&path)
        .expect("a writable folder");
        path
    }

    /// A table of one smooth curve.
    pub fn table(&self, name: &str) -> PathBuf {
        let rows: Vec<String> = (0..40)
            .map(|i| {
                let t = f64::from(i) * 0.25;
                format!("{t},{}", 20.0 + 3.0 * (0.7 * t).sin())
            })
            .collect();
        self.write(name, format!("t[s],temp[degC]\n{}\n", rows.join("\n")))
    }

    /// `rwf` in this folder.
    pub fn command(&self) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_rwf"));
        command.current_dir(self.folder.path());
        command
    }

    pub fn rwf<S: AsRef<std::ffi::OsStr>>(&self, args: impl IntoIterator<Item = S>) -> Output {
        self.command().args(args).output().expect("the command starts")
    }

    /// Runs words split at spaces; all went well.
    pub fn ok(&self, line: &str) -> String {
        let out = self.rwf(line.split_whitespace());
        assert!(out.status.success(), "`rwf {line}` failed:\n{}", stderr(&out));
        String::from_utf8(out.stdout).expect("text")
    }

    /// The bytes of a file in the folder.
    pub fn read(&self, name: &str) -> Vec<u8> {
        let path = self.path(name);
        std::fs::read(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
    }

    /// Runs words split at spaces into NAME.safetensors and, once there is a checkpoint, sends it `signal`.
    #[cfg(unix)]
    pub fn stopped(&self, line: &str, name: &str, signal: &str) -> Output {
        let child = self
            .command()
            .args(line.split_whitespace())
            .args(["-o", &format!("{name}.safetensors")])
            .stderr(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        while !self.path(&format!("{name}.run/checkpoint.safetensors")).exists() {
            std::thread::sleep(std::time::Duration::from_millis(2));
        }
        let sent = Command::new("kill").args([signal, &child.id().to_string()]).status().unwrap();
        assert!(sent.success());
        child.wait_with_output().unwrap()
    }

    /// Runs words split at spaces; it ends with code 2 and says each of `words`.
    pub fn refused(&self, line: &str, words: &[&str]) {
        let out = self.rwf(line.split_whitespace());
        let text = stderr(&out);
        assert_eq!(out.status.code(), Some(2), "`rwf {line}`: {text}");
        for word in words {
            assert!(text.contains(word), "`rwf {line}` does not say `{word}`: {text}");
        }
        assert!(!text.contains("panicked"), "{text}");
    }

    /// Names in the folder, sorted.
    pub fn files(&self) -> Vec<String> {
        names(self.folder.path())
    }
}

pub fn names(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).expect("a folder");
    let mut names: Vec<String> =
        entries.map(|e| e.expect("an entry").file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    names
}

pub fn stderr(out: &Output) -> String {
    String::from_utf8_lossy(&out.stderr).into_owned()
}
