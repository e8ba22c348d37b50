//! What stands behind the fields of a message.

use super::*;

#[test]
fn unknown_extensions_that_may_be_skipped_are_counted() {
    // [W-EXT-2] [W-EXT-4]
    for message in messages() {
        let mut frame = bytes(&message);
        let known = 2 * u8::from(matches!(message, Message::Welcome(_)));
        for count in 1..=4 - known {
            frame.extend([count * 2 + 9, 2, 0xaa, 0xbb]);
            let decoded = decode(&frame).expect("decodes");
            assert_eq!((decoded.message, decoded.skipped), (message, count));
        }
        frame.extend([9, 0]);
        check_error(&frame, WireError::TooLong);
    }
}

#[test]
fn unknown_extensions_that_must_not_be_skipped_are_refused() {
    // [W-EXT-3]
    for message in messages() {
        for tag in (0..=u8::MAX).step_by(2) {
            let mut frame = bytes(&message);
            if tag == TAG_PROOF && matches!(message, Message::Hello(_) | Message::Welcome(_)) {
                continue;
            }
            if tag == TAG_COOKIE && matches!(message, Message::Hello(_)) {
                continue;
            }
            frame.extend([tag, 1, 0]);
            check_error(&frame, WireError::UnknownExtension(tag));
        }
    }
}

#[test]
fn extensions_keep_to_their_limits() {
    // [W-EXT-4] [L-EXT-1] [L-EXT-2]
    let ping = bytes(&Message::Ping { token: 1 });
    let with = |tail: &[u8]| [&ping[..], tail].concat();
    let largest = [&[1, 62][..], &[0; 62]].concat();
    assert_eq!(largest.len(), MAX_EXTENSION_BYTES);
    assert_eq!(decode(&with(&largest)).map(|d| d.skipped), Ok(1));
    check_error(
        &with(&[&[1, 63][..], &[0; 63]].concat()),
        WireError::TooLong,
    );
    assert!(decode(&with(&[1, 0].repeat(MAX_EXTENSIONS))).is_ok());
    check_error(
        &with(&[1, 0].repeat(MAX_EXTENSIONS + 1)),
        WireError::TooLong,
    );
    check_error(&with(&[1]), WireError::Truncated);
    check_error(&with(&[1, 2, 0]), WireError::Truncated);
}

#[test]
fn a_cookie_is_an_extension_of_hello_behind_the_proof() {
    // [W-COOKIE-1] [W-COOKIE-2]
    let Message::Hello(hello) = messages()[0] else {
        panic!("the first is a Hello")
    };
    let bare = bytes(&Message::Hello(Hello {
        proof: &[],
        ..hello
    }));
    let value: [u8; 16] = core::array::from_fn(|n| n as u8);
    let cookie = [&[4, 16][..], &value].concat();
    let proof = [2, 1, 7];
    let both = [&bare[..], &proof, &cookie].concat();
    let decoded = decode(&both).expect("decodes").message;
    let Message::Hello(got) = decoded else {
        panic!("it is a Hello")
    };
    assert_eq!((got.proof, got.cookie), (&[7][..], Some(&value)));
    assert_eq!(bytes(&decoded), both);
    for wrong in [
        [&bare[..], &cookie, &proof].concat(),
        [&bare[..], &cookie, &cookie].concat(),
        [&bare[..], &[4, 15], &value[1..]].concat(),
        [&bare[..], &[4, 17, 0], &value].concat(),
    ] {
        check_error(&wrong, WireError::Malformed);
    }
}

#[test]
fn a_lineage_is_an_extension_of_welcome_behind_the_proof() {
    // [W-LINEAGE-1] [W-LINEAGE-2]
    let Message::Welcome(welcome) = messages()[2] else {
        panic!("the third is a Welcome")
    };
    let proof = &[7][..];
    let bare = bytes(&Message::Welcome(Welcome {
        proof,
        lineage: Lineage::NONE,
        ..welcome
    }));
    let generations = [9, 0x0102_0304];
    let lineage = [3, 8, 0, 0, 0, 9, 1, 2, 3, 4];
    let frame = [&bare[..], &lineage].concat();
    let decoded = decode(&frame).expect("decodes");
    let Message::Welcome(got) = decoded.message else {
        panic!("it is a Welcome")
    };
    assert_eq!((got.proof, decoded.skipped), (proof, 0));
    assert_eq!(
        got.lineage,
        Lineage::write(&generations, &mut [0; 4 * MAX_LINEAGE])
    );
    assert!(generations.iter().all(|&one| got.lineage.has(one)));
    assert!(!got.lineage.has(8) && !got.lineage.has(0x0000_0901));
    assert_eq!(bytes(&decoded.message), frame);
    let twice = lineage.repeat(2);
    let before_the_proof = [&lineage[..], &[2, 1, 7]].concat();
    for wrong in [&twice[..], &[3, 3, 0, 0, 9], &[3, 0]] {
        check_error(&[&bare, wrong].concat(), WireError::Malformed);
    }
    let naked = &bare[..bare.len() - 3];
    check_error(&[naked, &before_the_proof].concat(), WireError::Malformed);
    let long = [&bare[..], &[3, 32], &[0; 32]].concat();
    check_error(&long, WireError::TooLong);
    // In any other message it is an extension like another.
    let ping = bytes(&Message::Ping { token: 1 });
    let decoded = decode(&[&ping[..], &lineage].concat()).map(|d| d.skipped);
    assert_eq!(decoded, Ok(1));
}

#[test]
fn a_lineage_has_as_many_generations_as_fit_beside_the_longest_proof() {
    // [W-LINEAGE-1]
    let Message::Welcome(welcome) = messages()[2] else {
        panic!("the third is a Welcome")
    };
    assert_eq!(welcome.proof.len(), MAX_PROOF);
    let many: Vec<u32> = (0..20).collect();
    let mut place = [0; 4 * MAX_LINEAGE];
    let lineage = Lineage::write(&many, &mut place);
    assert_eq!(lineage.as_bytes().len(), 4 * MAX_LINEAGE);
    assert!(lineage.has(6) && !lineage.has(7), "the newest");
    let message = Message::Welcome(Welcome { lineage, ..welcome });
    check_any(&bytes(&message));
    assert_eq!(decode(&bytes(&message)).map(|d| d.message), Ok(message));
    for (len, is_one) in [(0, true), (3, false), (4, true), (28, true), (32, false)] {
        assert_eq!(Lineage::new(&[0; 32][..len]).is_some(), is_one, "{len}");
    }
    assert_eq!(
        Lineage::write(&[], &mut [0; 4 * MAX_LINEAGE]),
        Lineage::NONE
    );
}

#[test]
fn a_proof_is_an_extension_of_hello_and_welcome() {
    // [W-PROOF-1] [W-PROOF-2]
    let Message::Hello(hello) = messages()[0] else {
        panic!("the first is a Hello")
    };
    let bare = bytes(&Message::Hello(hello));
    let proof = &[7; MAX_PROOF];
    let proven = Message::Hello(Hello { proof, ..hello });
    let frame = bytes(&proven);
    assert_eq!(frame, [&bare[..], &[2, 32], proof].concat());
    // After an extension that is skipped, too.
    let other = [&bare[..], &[1, 1, 0, 2, 32], proof].concat();
    let decoded = decode(&other).expect("decodes");
    assert_eq!((decoded.message, decoded.skipped), (proven, 1));

    check_error(&[&bare[..], &[2, 0]].concat(), WireError::Malformed);
    check_error(
        &[&bare[..], &[2, 1, 7, 2, 1, 7]].concat(),
        WireError::Malformed,
    );
    check_error(
        &[&bare[..], &[2, 33], &[7; 33]].concat(),
        WireError::TooLong,
    );
    let long = Message::Hello(Hello {
        proof: &[7; MAX_PROOF + 1],
        cookie: None,
        ..hello
    });
    assert_eq!(encode(&long, &mut [0; 200]), Err(WireError::TooLong));
}
