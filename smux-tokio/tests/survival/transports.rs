//! The options that choose what a tunnel runs over.

use crate::folder::Folder;

/// What both ends are told to run over.
pub(crate) struct Transport {
    pub(crate) is_udp: bool,
    pub(crate) client: Vec<String>,
    pub(crate) server: Vec<String>,
    /// Of the certificate.
    _files: Folder,
}

impl Transport {
    pub(crate) fn all() -> [Self; 3] {
        ["tcp", "tls", "kcp"].map(Self::new)
    }

    fn new(name: &str) -> Self {
        let files = Folder::new();
        let both = ["--transport".to_owned(), name.to_owned()].to_vec();
        let (mut client, mut server) = (both.clone(), both);
        if name == "tls" {
            let (cert, key) = (files.file("cert.pem"), files.file("key.pem"));
            server.extend(
                ["--tls-generate", "--tls-cert", &cert, "--tls-key", &key].map(str::to_owned),
            );
            client.extend(["--tls-ca".to_owned(), cert]);
        }
        Self {
            is_udp: name == "kcp",
            client,
            server,
            _files: files,
        }
    }
}

/// These options and `more`.
pub(crate) fn with<'a>(options: &'a [String], more: &[&'a str]) -> Vec<&'a str> {
    options
        .iter()
        .map(String::as_str)
        .chain(more.iter().copied())
        .collect()
}
