use crate::list::{Format, ListError, ReadOptions, Summary, read};
use flate2::Compression;
use flate2::write::GzEncoder;
use std::io::Write;

const TEXT: &[u8] = b"a.example\n\nb.example\n";

fn gzip(data: &[u8]) -> Vec<u8> {
    let mut writer = GzEncoder::new(Vec::new(), Compression::fast());
    writer.write_all(data).unwrap();
    writer.finish().unwrap()
}

fn read_with(data: &[u8], options: &ReadOptions) -> Result<(Vec<String>, Summary), ListError> {
    let mut entries = Vec::new();
    let summary = read(data, options, |event| {
        if let crate::list::Event::Entry { line, entry } = event {
            entries.push(format!("{line} {}", entry.text));
        }
    })?;
    Ok((entries, summary))
}

fn assert_is_text(data: &[u8], options: &ReadOptions) {
    let (entries, summary) = read_with(data, options).unwrap();
    assert_eq!(entries, ["1 a.example", "3 b.example"]);
    assert_eq!(summary.lines.total(), 3);
}

#[test]
fn gzip_nests_once_more() {
    let options = ReadOptions::default();
    assert_is_text(&gzip(TEXT), &options);
    assert_is_text(&gzip(&gzip(TEXT)), &options);
    assert_is_text(&[gzip(b"a.example\n"), gzip(b"\nb.example\n")].concat(), &options);
    let outcome = read_with(&gzip(&gzip(&gzip(TEXT))), &options);
    assert!(matches!(outcome, Err(ListError::TooManyContainers { max: 2 })));
}

#[test]
fn the_limit_after_decompression_is_exact() {
    for (max, fits) in [(20, false), (21, true), (22, true)] {
        let options = ReadOptions::default().with_max_unpacked(max);
        let outcome = read_with(&gzip(TEXT), &options);
        assert_eq!(outcome.is_ok(), fits);
        if let Err(error) = outcome {
            assert!(matches!(error, ListError::UnpackedTooLong { max: 20 }), "{error:?}");
        }
        // What is not compressed is as long as it is.
        assert_is_text(TEXT, &options);
    }
}

#[test]
fn files_that_fill_a_disk_are_refused() {
    let line = b"x.example\n".repeat(8 << 17);
    let inner = gzip(&line);
    assert!(line.len() < inner.len() * 1_000);
    let bomb = gzip(&gzip(&line.repeat(8)));
    let outcome = read(&bomb[..], &Format::Urls.into(), |_| {});
    assert!(matches!(outcome, Err(ListError::CompressedTooWell { max: 1_000 })), "{outcome:?}");
}

#[cfg(not(feature = "containers"))]
#[test]
fn the_feature_is_named() {
    let error = read_with(b"BZh91AY&SY", &ReadOptions::default()).unwrap_err().to_string();
    assert!(error.contains("bzip2") && error.contains("feature `containers`"), "{error}");
}

#[cfg(feature = "containers")]
mod others {
    use super::*;
    use crate::list::Container;
    use base64::Engine;
    use base64::engine::general_purpose::STANDARD;

    /// What the programs `bzip2`, `xz` and `zstd` write for [`TEXT`].
    const BZIP2: &str =
        "QlpoOTFBWSZTWeYbLZsAAALRgAAQAAEyBkBAIAAhKA00IMmIwm8pkoQxDGeLuSKcKEhzDZbNgA==";
    const XZ: &str = "/Td6WFoAAATm1rRGAgAhARYAAAB0L+Wj4AAUABJdADCLiKfDaatHPGJdQ9KbfDMAAAAAAC4FJ0n/g5/SAAEuFexYXEYftvN9AQAAAAAEWVo=";
    const ZSTD: &str = "KLUv/QRYlQAAYGEuZXhhbXBsZQoKYgEALkoSHqQHYg==";

    fn bytes(text: &str) -> Vec<u8> {
        STANDARD.decode(text).unwrap()
    }

    fn tar(members: &[(&str, &[u8])]) -> Vec<u8> {
        let mut writer = tar::Builder::new(Vec::new());
        for (name, data) in members {
            let mut header = tar::Header::new_gnu();
            header.set_size(data.len() as u64);
            if name.ends_with('/') {
                header.set_entry_type(tar::EntryType::Directory);
            }
            writer.append_data(&mut header, name, *data).unwrap();
        }
        writer.into_inner().unwrap()
    }

    fn zip(members: &[(&str, &[u8])]) -> Vec<u8> {
        let mut writer = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
        let options = zip::write::SimpleFileOptions::default();
        for (name, data) in members {
            if name.ends_with('/') {
                writer.add_directory(*name, options).unwrap();
            } else {
                writer.start_file(*name, options).unwrap();
                writer.write_all(data).unwrap();
            }
        }
        writer.finish().unwrap().into_inner()
    }

    #[test]
    fn each_compression_is_read_and_its_damage_noticed() {
        let options = ReadOptions::default();
        for (name, data) in [("bzip2", BZIP2), ("xz", XZ), ("zstd", ZSTD)] {
            let data = bytes(data);
            assert_is_text(&data, &options);
            assert_is_text(&gzip(&data), &options);
            for end in [data.len() - 1, data.len() / 2] {
                let outcome = read_with(&data[..end], &options);
                assert!(matches!(outcome, Err(ListError::Io(_))), "{name} {end} {outcome:?}");
            }
            let small = ReadOptions::default().with_max_unpacked(20);
            let outcome = read_with(&data, &small);
            assert!(matches!(outcome, Err(ListError::UnpackedTooLong { .. })), "{name}");
            for at in 10..data.len() {
                let mut damaged = data.clone();
                damaged[at] ^= 1;
                if let Ok((entries, _)) = read_with(&damaged, &options) {
                    assert_eq!(entries, ["1 a.example", "3 b.example"], "{name} {at}");
                }
            }
        }
    }

    /// Archives that were put behind each other: only one of them would be read.
    #[test]
    fn several_archives_are_not_taken_for_one() {
        let options = ReadOptions::default();
        let (first, second) = (&[("a", &b"a.example\n"[..])], &[("b", &b"b.example\n"[..])]);
        for (one, other) in [(tar(first), tar(second)), (zip(first), zip(second))] {
            let (entries, _) = read_with(&one, &options).unwrap();
            assert_eq!(entries, ["1 a.example"]);
            let both = [one, other].concat();
            assert!(read_with(&both, &options).is_err());
            assert!(read_with(&gzip(&both), &options).is_err());
        }
        // A tape is filled with zeros.
        let padded = [tar(first), vec![0; 1 << 14]].concat();
        assert_eq!(read_with(&padded, &options).unwrap().0, ["1 a.example"]);
    }

    #[test]
    fn zstandard_files_may_have_several_frames() {
        let frame = bytes(ZSTD);
        let skipped = [&[0x52, 0x2a, 0x4d, 0x18, 3, 0, 0, 0][..], b"abc"].concat();
        let data = [&skipped[..], &frame, &skipped, &frame].concat();
        let (entries, _) = read_with(&data, &ReadOptions::default()).unwrap();
        assert_eq!(entries.len(), 4);
        let outcome = read_with(&[&frame[..], b"rest"].concat(), &ReadOptions::default());
        assert!(matches!(outcome, Err(ListError::Io(_))), "{outcome:?}");
    }

    /// A Zstandard frame of blocks that each repeat one byte `length` times, with a window of 128 KiB.
    fn repeated(byte: u8, length: u32, blocks: usize) -> Vec<u8> {
        // Magic, descriptor without checksum and content size, window.
        let mut data = vec![0x28, 0xb5, 0x2f, 0xfd, 0, 0x38];
        for number in 1..=blocks {
            let header = length << 3 | 1 << 1 | u32::from(number == blocks);
            data.extend(&header.to_le_bytes()[..3]);
            data.push(byte);
        }
        data
    }

    #[test]
    fn zstandard_files_nest_once_more_and_break_off_nowhere() {
        let options = ReadOptions::default();
        let frame = bytes(ZSTD);
        // What the program writes around the frame, as one raw block.
        let raw = |inner: &[u8]| {
            let mut data = vec![0x28, 0xb5, 0x2f, 0xfd, 0, 0x38];
            data.extend(&((inner.len() as u32) << 3 | 1).to_le_bytes()[..3]);
            data.extend(inner);
            data
        };
        assert_is_text(&raw(&frame), &options);
        assert_is_text(&raw(&gzip(TEXT)), &options);
        assert_is_text(&gzip(&raw(TEXT)), &options);
        let outcome = read_with(&raw(&raw(&frame)), &options);
        assert!(matches!(outcome, Err(ListError::TooManyContainers { max: 2 })), "{outcome:?}");
        let archive = raw(&tar(&[("list.txt", TEXT)]));
        let (_, summary) = read_with(&archive, &options).unwrap();
        assert!(summary.is_in_archive);
        for data in [frame.clone(), raw(TEXT), [&frame[..], &frame].concat()] {
            // A file that ends between frames is whole.
            for end in (4..data.len()).filter(|end| *end != frame.len()) {
                let outcome = read_with(&data[..end], &Format::Urls.into());
                assert!(outcome.is_err(), "{end} of {}", data.len());
            }
        }
    }

    #[test]
    fn zstandard_files_that_fill_a_disk_or_the_memory_are_refused() {
        // 128 KiB of each four bytes.
        let bomb = repeated(b'a', 128 << 10, 2_000);
        let outcome = read(&bomb[..], &Format::Urls.into(), |_| {});
        assert!(matches!(outcome, Err(ListError::CompressedTooWell { max: 1_000 })), "{outcome:?}");
        let outcome = read(&gzip(&bomb)[..], &Format::Urls.into(), |_| {});
        assert!(matches!(outcome, Err(ListError::CompressedTooWell { .. })), "{outcome:?}");
        // A window of more than 128 MiB, and content of an exabyte, as the header says.
        for header in [&[0, 0xff][..], &[0xe0, 0, 0, 0, 0, 0, 0, 0, 0x10]] {
            let data = [&[0x28, 0xb5, 0x2f, 0xfd], header, &[1, 0, 0]].concat();
            assert!(matches!(read_with(&data, &Format::Urls.into()), Err(ListError::Io(_))));
        }
        // Frames without anything in them are passed over.
        let empty = repeated(b'a', 0, 1).repeat(20_000);
        let (entries, summary) = read_with(&empty, &Format::Urls.into()).unwrap();
        assert_eq!((entries.len(), summary.lines.total()), (0, 0));
    }

    #[test]
    fn an_archive_of_one_file_is_the_list() {
        let options = ReadOptions::default();
        let name = format!("{}/list.txt", "folder".repeat(30));
        for members in [
            vec![("list.txt", TEXT)],
            vec![("ads/", &b""[..]), ("ads/domains", TEXT)],
            vec![("__MACOSX/._list.txt", b"\0"), ("._list.txt", b"\0"), ("list.txt", TEXT)],
            vec![(&*name, TEXT)],
        ] {
            for archive in [tar(&members), zip(&members)] {
                assert_is_text(&archive, &options);
                assert_is_text(&gzip(&archive), &options);
            }
        }
        let csv = gzip(b"id,url\n1,a.example\n");
        let options = ReadOptions::from("csv=url".parse::<Format>().unwrap());
        let (entries, _) = read_with(&zip(&[("feed.csv.gz", &csv)]), &options).unwrap();
        assert_eq!(entries, ["2 a.example"]);
    }

    #[test]
    fn of_several_files_one_is_named() {
        let members = [
            ("ads/usage", &b"free\0"[..]),
            ("ads/domains", TEXT),
            ("ads/urls", b"c.example/d\n"),
            ("bets/urls", b"e.example/d\n"),
        ];
        for (container, archive) in
            [(Container::Tar, tar(&members)), (Container::Zip, zip(&members))]
        {
            for name in ["ads/domains", "domains"] {
                assert_is_text(&archive, &ReadOptions::default().with_member(Some(name.into())));
            }
            let message = |member: Option<&str>| {
                let options = ReadOptions::default().with_member(member.map(str::to_owned));
                read_with(&archive, &options).unwrap_err().to_string()
            };
            let names = "ads/usage, ads/domains, ads/urls, bets/urls";
            for (member, expected) in [
                (
                    None,
                    format!(
                        "the {container} archive has several files; name the one that is the list: {names}"
                    ),
                ),
                (
                    Some("urls"),
                    format!(
                        "the {container} archive has several files; name the one that is the list: {names}"
                    ),
                ),
                (
                    Some("list"),
                    format!("the {container} archive has no file `list`; it has: {names}"),
                ),
            ] {
                assert_eq!(message(member), expected);
            }
        }
        let empty = read_with(&zip(&[("ads/", b"")]), &ReadOptions::default());
        assert!(matches!(empty, Err(ListError::ArchiveEmpty { container: Container::Zip })));
    }

    #[test]
    fn archives_that_break_off_are_errors() {
        let members = [("list.txt", &TEXT.repeat(2_000)[..])];
        for archive in [tar(&members), zip(&members)] {
            for end in [archive.len() / 2, 600] {
                let outcome =
                    read_with(&archive[..end.min(archive.len() - 30)], &ReadOptions::default());
                assert!(matches!(outcome, Err(ListError::Io(_))), "{end} {outcome:?}");
            }
        }
    }

    #[test]
    fn names_and_sizes_of_tar_archives_are_bounded() {
        // A name of a gigabyte, as its header says.
        let mut header = tar::Header::new_gnu();
        header.set_entry_type(tar::EntryType::GNULongName);
        header.set_size(1 << 30);
        header.set_cksum();
        let data = [&header.as_bytes()[..], &[b'a'; 2_048]].concat();
        let outcome = read_with(&data, &ReadOptions::default());
        assert!(matches!(outcome, Err(ListError::Io(_))), "{outcome:?}");
        let mut header = tar::Header::new_gnu();
        header.set_path("list.txt").unwrap();
        header.set_entry_type(tar::EntryType::GNUSparse);
        header.set_size(0);
        header.set_cksum();
        let data = [&header.as_bytes()[..], &[0; 1_024]].concat();
        let outcome = read_with(&data, &ReadOptions::default());
        assert!(matches!(outcome, Err(ListError::MemberUnreadable { .. })), "{outcome:?}");
    }

    #[test]
    fn names_of_members_are_read_up_to_their_limit() {
        // The name in a header of its own, as GNU tar writes it, without the zero byte that other programs add.
        let archive = |name: &str| {
            let mut data = Vec::new();
            for (kind, content) in
                [(tar::EntryType::GNULongName, name.as_bytes()), (tar::EntryType::Regular, TEXT)]
            {
                let mut header = tar::Header::new_gnu();
                header.set_entry_type(kind);
                header.set_size(content.len() as u64);
                header.set_cksum();
                data.extend(header.as_bytes());
                data.extend(content);
                data.resize(data.len().next_multiple_of(512), 0);
            }
            data.extend([0; 1_024]);
            data
        };
        let max = usize::try_from(super::super::archive::MAX_NAME).unwrap();
        for length in [max - 1, max, max + 1] {
            let name = "a".repeat(length);
            let options = ReadOptions::default().with_member(Some(name.clone()));
            let outcome = read_with(&archive(&name), &options);
            assert_eq!(outcome.is_ok(), length <= max, "{length}");
        }
    }

    #[test]
    fn errors_list_the_first_members() {
        use super::super::archive::MAX_NAMES;
        for count in [MAX_NAMES - 1, MAX_NAMES, MAX_NAMES + 1] {
            let names: Vec<String> = (0..count).map(|number| format!("m{number}.txt")).collect();
            let members: Vec<(&str, &[u8])> = names.iter().map(|name| (&**name, TEXT)).collect();
            let error = read_with(&zip(&members), &ReadOptions::default()).unwrap_err().to_string();
            assert_eq!(error.matches(".txt").count(), count.min(MAX_NAMES), "{error}");
            assert_eq!(error.contains("and 1 more"), count > MAX_NAMES, "{error}");
        }
    }

    #[test]
    fn the_memory_for_xz_is_limited() {
        // The format has dictionaries of 2^n and 3·2^n bytes alone: 64, 96 and 128 MiB. A decoder needs some KiB more.
        let limit = u64::from(super::super::MAX_XZ_MEMORY) << 10;
        for (size, dictionary, is_read) in
            [(28, 64 << 20, true), (29, 96 << 20, true), (30, 128 << 20, false)]
        {
            assert_eq!(dictionary < limit, is_read);
            let mut data = bytes(XZ);
            // The header of the block: its length, flags, filter, length of its properties, dictionary, and the checksum.
            assert_eq!(data[12..16], [2, 0, 0x21, 1]);
            data[16] = size;
            let mut checksum = flate2::Crc::new();
            checksum.update(&data[12..20]);
            data[20..24].copy_from_slice(&checksum.sum().to_le_bytes());
            let outcome = read_with(&data, &ReadOptions::default());
            assert_eq!(outcome.is_ok(), is_read, "{dictionary} {outcome:?}");
        }
    }
}
