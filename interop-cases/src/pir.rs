//! Whole use cases recorded between Apple's client and Apple's service: rows, parameters, databases,
//! requests and responses.

use crate::messages::{self, Bytes, Requests, Responses, Upload};
pub use crate::parameter_file::{Shard, Sharding};
use crate::{Ciphertext, EvaluationKey, parameter_file, read, repository, shared_folder, sorted};
use serde_json::Value;
use std::fs;
use std::path::{Path, PathBuf};

/// A row of the keyword database.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// The keyword, as rows have it.
    pub keyword: String,
    /// The value of the keyword.
    pub value: String,
}

/// A query with what Apple's service answered.
pub struct Exchange {
    /// The keyword that was asked for.
    pub keyword: String,
    /// The shard that was asked.
    pub shard: usize,
    /// The ciphertexts of the query.
    pub query: Vec<Ciphertext>,
    /// The lookups of the query.
    pub lookups: u64,
    /// The reply: for each lookup its ciphertexts.
    pub reply: Vec<Vec<Ciphertext>>,
}

/// A recorded HTTP exchange.
#[derive(Clone)]
pub struct Recorded {
    /// The path with its leading slash; slashes within are underscores.
    pub path: String,
    /// The request's body.
    pub request: Vec<u8>,
    /// The response's body.
    pub response: Vec<u8>,
}

/// The evaluation key that the recorded client uploaded.
pub struct UploadedKey {
    /// SHA-256 of the configuration that it belongs to.
    pub config_hash: Vec<u8>,
    /// When it was made, in seconds since 1970.
    pub timestamp: u64,
    /// The key as the client serialized it.
    pub key: EvaluationKey,
}

/// A recorded use case.
pub struct Case {
    folder: PathBuf,
}

impl Case {
    /// A case that the repository carries, by its folder's name.
    pub fn named(name: &str) -> Self {
        Self { folder: repository().join("testvectors/interop/pir").join(name) }
    }

    fn all_in(folder: &Path) -> Vec<Self> {
        let mut paths = sorted(folder);
        paths.retain(|path| path.is_dir());
        assert!(!paths.is_empty(), "{}: no cases", folder.display());
        paths.into_iter().map(|folder| Self { folder }).collect()
    }

    /// The cases that the repository carries.
    pub fn carried() -> Vec<Self> {
        Self::all_in(&repository().join("testvectors/interop/pir"))
    }

    /// The cases of [`shared_folder`].
    ///
    /// # Panics
    /// If the folder is not there.
    pub fn shared() -> Vec<Self> {
        Self::all_in(&shared_folder().join("pir"))
    }

    /// The case's folder.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// A file of the case.
    pub fn read(&self, name: &str) -> Vec<u8> {
        read(&self.folder.join(name))
    }

    fn text(&self, name: &str) -> String {
        String::from_utf8(self.read(name)).expect("text")
    }

    /// The name of the use case.
    pub fn use_case(&self) -> String {
        self.text("usecase").trim().to_owned()
    }

    /// How many shards have a database file; 0 where the databases were too large to keep.
    pub fn databases(&self) -> usize {
        (0..).take_while(|shard| self.database_path(*shard).exists()).count()
    }

    /// Where the database of a shard is, in the format of Apple's tool; not every case has them.
    pub fn database_path(&self, shard: usize) -> PathBuf {
        self.folder.join(format!("db-{shard}.bin"))
    }

    /// The parameter files, one for each shard.
    pub fn parameter_files(&self) -> Vec<Vec<u8>> {
        (0..)
            .map(|shard| self.folder.join(format!("params-{shard}.txtpb")))
            .take_while(|path| path.exists())
            .map(|path| read(&path))
            .collect()
    }

    /// The parameters of each shard.
    pub fn shards(&self) -> Vec<Shard> {
        let parse =
            |file: Vec<u8>| parameter_file::parse(std::str::from_utf8(&file).expect("text"));
        self.parameter_files().into_iter().map(parse).collect()
    }

    /// The rows that Apple's tool processed.
    pub fn rows(&self) -> Vec<Row> {
        let text = self.text("input.txtpb");
        text.lines()
            .map(|line| {
                assert!(!line.contains('\\'), "recorded rows have no escapes");
                let mut quoted = line.split('"').skip(1).step_by(2).map(ToOwned::to_owned);
                let keyword = quoted.next().expect("a keyword");
                Row { keyword, value: quoted.next().expect("a value") }
            })
            .collect()
    }

    /// The keywords that were asked for, in order, with their values.
    pub fn expected(&self) -> Vec<(String, Option<String>)> {
        let expected: Value = serde_json::from_slice(&self.read("expected.json")).expect("JSON");
        let asked = self.text("asked.txt");
        asked
            .lines()
            .filter(|line| !line.is_empty())
            .map(|line| (line.to_owned(), expected[line].as_str().map(ToOwned::to_owned)))
            .collect()
    }

    /// The files of the record whose names end so, in order.
    pub fn record(&self, ending: &str) -> Vec<Vec<u8>> {
        let paths = sorted(&self.folder.join("record"));
        let named = |path: &&PathBuf| path.to_str().is_some_and(|name| name.ends_with(ending));
        paths.iter().filter(named).map(|path| read(path)).collect()
    }

    /// All exchanges, in order.
    pub fn recorded(&self) -> Vec<Recorded> {
        let paths = sorted(&self.folder.join("record"));
        let mut exchanges = Vec::new();
        for path in paths {
            let name = path.file_name().and_then(|name| name.to_str()).expect("a UTF-8 name");
            let Some(stem) = name.strip_suffix(".request.bin") else { continue };
            // `007_config`: a number, and the path.
            let (_, resource) = stem.split_once('_').expect("a number and a path");
            exchanges.push(Recorded {
                path: format!("/{resource}"),
                request: read(&path),
                response: self.read(&format!("record/{stem}.response.bin")),
            });
        }
        exchanges
    }

    /// The first exchange of a path.
    pub fn first(&self, path: &str) -> Recorded {
        self.recorded().into_iter().find(|recorded| recorded.path == path).expect("an exchange")
    }

    /// The uploaded evaluation key.
    pub fn uploaded_key(&self) -> UploadedKey {
        let upload: Upload = messages::decode(&self.first("/key").request);
        let uploaded = upload.keys.into_iter().next().expect("a key");
        let metadata = uploaded.metadata.expect("metadata");
        UploadedKey {
            config_hash: metadata.identifier,
            timestamp: metadata.timestamp,
            key: uploaded.key.expect("a key").into_case(),
        }
    }

    /// The recorded client's serialized secret key.
    pub fn secret_key(&self) -> Vec<u8> {
        let named = |path: &PathBuf| path.to_str().is_some_and(|p| p.contains("secret-key-"));
        let path = sorted(&self.folder.join("record")).into_iter().find(named).expect("a key");
        messages::decode::<Bytes>(&fs::read(path).expect("a readable key")).bytes
    }

    /// The queries of the record, and their replies.
    pub fn exchanges(&self) -> Vec<Exchange> {
        let keywords: Vec<String> =
            self.expected().into_iter().map(|(keyword, _)| keyword).collect();
        let mut exchanges = Vec::new();
        for recorded in self.recorded().iter().filter(|recorded| recorded.path == "/queries") {
            let requests: Requests = messages::decode(&recorded.request);
            let responses: Responses = messages::decode(&recorded.response);
            assert_eq!(requests.requests.len(), responses.responses.len());
            for (request, response) in requests.requests.into_iter().zip(responses.responses) {
                let request = request.pir.expect("a request for a keyword");
                let query = request.query.expect("a query");
                exchanges.push(Exchange {
                    keyword: keywords[exchanges.len() % keywords.len()].clone(),
                    shard: request.shard_index as usize,
                    query: query.ciphertexts.into_iter().map(|c| c.into_case()).collect(),
                    lookups: query.lookups,
                    reply: response.pir.expect("a reply").into_case(),
                });
            }
        }
        assert!(!exchanges.is_empty(), "{}: no queries", self.folder.display());
        exchanges
    }
}
