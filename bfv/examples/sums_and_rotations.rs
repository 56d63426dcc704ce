//! Encrypts a vector of numbers, lets a server that has no secret key add to it and rotate it, and
//! decrypts the result.
//!
//! `cargo run --package bfv-pir --example sums_and_rotations`

#![allow(clippy::print_stdout, reason = "an example shows what it does")]

use bfv::{
    Backend, Context, Error, EvaluationKeyConfig, GaloisElement, OsRandom, ParameterError,
    Parameters, Security,
};

fn main() -> Result<(), Error> {
    // t = 40,961 is 1 modulo 2N, so that a plaintext holds N numbers that add and multiply one by
    // one. Its security is not judged: real uses take Security::Quantum128, or a predefined set.
    let moduli: Vec<u64> = [134_176_769, 268_369_921, 268_361_729].to_vec();
    let parameters = Parameters::new(4096, 40_961, moduli, Security::Quantum128)?;
    let context = Context::<u32>::new(parameters.clone())?;
    println!("back end: {}", Backend::detect()?.name());

    // The client draws a secret key, and for the server a key that rotates by one slot.
    let secret = context.generate_secret_key(&mut OsRandom)?;
    let rotation = GaloisElement::rotating_columns(1, context.degree())?;
    let config = EvaluationKeyConfig {
        parameters,
        galois_elements: vec![rotation.get()],
        has_relinearization_key: false,
    };
    let keys = context.generate_evaluation_key(&config, &secret, &mut OsRandom)?;
    let message = context.encode_slots(&[10, 20, 30, 40])?;
    let ciphertext = context.encrypt(&message, &secret, &mut OsRandom)?;

    // The server: v + rotate(v) + (1, 1, 1, 1).
    let keys = context.prepare_evaluation_key(&keys);
    let rotated = context.apply_galois(&ciphertext, rotation, &keys)?;
    let mut sum = ciphertext;
    context.add(&mut sum, &rotated)?;
    context.add_plaintext(&mut sum, &context.encode_slots(&[1, 1, 1, 1])?)?;
    context.mod_switch_to_single(&mut sum)?;

    // The client.
    let slots = context.decode_slots(&context.decrypt(&sum, &secret)?)?;
    println!("10 20 30 40, plus its rotation, plus 1: {:?}", &slots[..4]);
    assert_eq!(slots[..4], [31, 51, 71, 41]);

    // Parameters that are not safe are refused.
    let refused = Parameters::new(2048, 17, vec![134_176_769, 268_369_921], Security::Quantum128);
    assert!(matches!(refused, Err(ParameterError::Insecure { .. })));
    Ok(())
}
