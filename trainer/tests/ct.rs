//! `rwf ct` from beginning to end.

mod common;

use common::{Bench, names, stderr};
use rwf_runtime::Model;
use rwf_trainer::{
    evaluate::evaluate,
    signal::scan::{Phantom, shepp_logan},
};

/// A run of a second or so.
const SMALL: &str = "--size 32 --angles 8 --samples 32 --hidden 32 --depth 2 --mapping gaussian:32:1 --batch 96 \
                     --lr 0.005 --sirt 30 --evaluate-every 50";

/// The PSNRs that a run printed: the network's, of filtered back-projection, of SIRT.
fn printed(said: &str) -> Vec<f64> {
    let number = |line: &str| line.split("PSNR").nth(1)?.trim().split(' ').next()?.parse().ok();
    let found: Vec<f64> = said.lines().filter_map(number).collect();
    assert_eq!(found.len(), 3, "{said}");
    found
}

#[test]
fn a_head_is_better_than_back_projected_and_the_file_gives_what_was_measured() {
    let bench = Bench::new();
    let said = bench.ok(&format!("ct {SMALL} --steps 600"));
    let [network, smeared, _] = printed(&said)[..] else { unreachable!() };
    assert!(network > smeared + 1.0, "{said}");
    let expected = [
        "angles.csv",
        "checkpoint.safetensors",
        "comparison.png",
        "config.toml",
        "loss.png",
        "metrics.csv",
        "model.safetensors",
        "sinogram.npy",
        "sinogram.png",
    ];
    assert_eq!(names(&bench.path("shepp-logan.run")), expected);
    let info = bench.ok("info shepp-logan.safetensors");
    for word in ["tomography", "psnr_db=", "attenuation", "px", "self-test      passed"] {
        assert!(info.contains(word), "`{word}` is not in\n{info}");
    }

    // The runtime's own values at the pixels have the error that was told.
    let bytes = bench.read("shepp-logan.safetensors");
    let model = Model::new(&bytes).unwrap();
    let x: Vec<f32> = (0..32 * 32).flat_map(|i| [(i % 32) as f32, (i / 32) as f32]).collect();
    let truth = Phantom::of(shepp_logan(), "head", 32).values;
    let square = |(a, b): (&f32, &f32)| (f64::from(a.clamp(0.0, 1.0)) - f64::from(*b)).powi(2);
    let mean = evaluate(&model, &x).iter().zip(&truth).map(square).sum::<f64>() / truth.len() as f64;
    assert!((-10.0 * mean.log10() - network).abs() < 0.006, "{mean} {network}");

    for precision in ["f16", "int8"] {
        let said = bench.ok(&format!("export shepp-logan.run --precision {precision} --tune 10"));
        assert!(said.contains("PSNR"), "{said}");
    }
    bench.ok("ct -o again.safetensors --config shepp-logan.run/config.toml");
    assert_eq!(bench.read("again.safetensors"), bytes);
    bench.refused("ct", &["shepp-logan.safetensors", "--force"]);
}

#[test]
fn a_sinogram_with_its_angles_gives_the_picture_in_its_units() {
    let bench = Bench::new();
    // A bright disc in a corner of the disc that is seen, grey levels to 200.
    image::GrayImage::from_fn(32, 32, |x, y| {
        let near = (x as f32 - 12.0).hypot(y as f32 - 18.0);
        image::Luma([if near < 7.0 { 200 } else { 0 }])
    })
    .save(bench.path("disc.png"))
    .unwrap();
    bench.ok(&format!("ct disc.png --extent disc --detectors 32 {SMALL} --steps 2"));
    for (from, to) in [("sinogram.npy", "s.npy"), ("angles.csv", "a.csv")] {
        std::fs::copy(bench.path("disc.run").join(from), bench.path(to)).unwrap();
    }
    let line = SMALL.replace("--size 32 --angles 8", "");
    let said = bench.ok(&format!("ct s.npy --angles-file a.csv --reference disc.png --unit mm {line} --steps 600"));
    let [network, smeared, iterated] = printed(&said)[..] else { unreachable!() };
    assert!(network > smeared && iterated > smeared, "{said}");

    let said = bench.ok(&format!("ct s.npy --angles-file a.csv -o blind.safetensors {line} --steps 600"));
    assert!(said.contains("integrals off by") && !said.contains("PSNR"), "{said}");
    assert!(bench.ok("info blind.safetensors").contains("1/px"));
    let bytes = bench.read("blind.safetensors");
    let model = Model::new(&bytes).unwrap();
    // Within the disc, beside it, and in a corner that no ray of the disc passes.
    let y = evaluate(&model, &[12.0, 18.0, 24.0, 10.0, 0.0, 0.0]);
    assert!((y[0] - 200.0).abs() < 40.0 && y[1].abs() < 30.0 && y[2].abs() < 60.0, "{y:?}");
}

#[test]
fn fans_and_noise_and_a_randomised_head_work_too() {
    let bench = Bench::new();
    let said = bench.ok(&format!("ct --randomise 3 --beam fan --noise 0.01 --along mean {SMALL} --steps 600"));
    let [network, smeared, _] = printed(&said)[..] else { unreachable!() };
    assert!(network > smeared + 1.0, "{said}");
}

/// A run that Ctrl-C ends, and one that SIGKILL ends, go on to the bits of one that was never stopped.
#[test]
#[cfg(unix)]
fn a_stopped_run_goes_on_to_the_same_bits() {
    let bench = Bench::new();
    let line = format!("ct {SMALL} --extent disc --noise 0.01 --steps 400")
        .replace("--evaluate-every 50", "--evaluate-every 20");
    bench.ok(&format!("{line} -o straight.safetensors"));
    let straight = bench.read("straight.safetensors");
    for signal in ["-INT", "-KILL"] {
        let name = format!("stopped{signal}");
        let out = bench.stopped(&line, &name, signal);
        if signal == "-INT" {
            assert_eq!(out.status.code(), Some(130), "{}", stderr(&out));
            assert_ne!(bench.read(&format!("{name}.safetensors")), straight);
        }
        bench.ok(&format!("ct --resume {name}.run"));
        assert_eq!(bench.read(&format!("{name}.safetensors")), straight, "{name}");
    }
}

#[test]
fn wrong_numbers_sizes_and_files_are_refused() {
    let bench = Bench::new();
    bench.write("s.csv", "1,2,3,2,1,1,2,3\n".repeat(5));
    bench.write("four.csv", "0\n45\n90\n135\n");
    bench.write("words.csv", "0\nright\n");
    bench.write("nan.csv", "1,2\n2,NaN\n");
    bench.write("ragged.csv", "1,2,3\n1,2\n");
    bench.write("zero.csv", "0,0,0\n0,0,0\n");
    bench.write("slice.dcm", "no DICOM at all");
    // A DICOM file of nothing but its mark and its file meta group.
    let mut bare = vec![0u8; 128];
    bare.extend(b"DICM");
    for (group, element, vr, value) in [
        (2u16, 2u16, b"UI", &b"1.2.840.10008.5.1.4.1.1.2\0"[..]),
        (2, 3, b"UI", b"1.2\0"),
        (2, 0x10, b"UI", b"1.2.840.10008.1.2.1\0"),
    ] {
        bare.extend(group.to_le_bytes());
        bare.extend(element.to_le_bytes());
        bare.extend(vr);
        bare.extend((value.len() as u16).to_le_bytes());
        bare.extend(value);
    }
    let length = (bare.len() - 132) as u32;
    let mut group = vec![2, 0, 0, 0, b'U', b'L', 4, 0];
    group.extend(length.to_le_bytes());
    bare.splice(132..132, group);
    bench.write("bare.dcm", bare);
    image::GrayImage::from_fn(16, 16, |x, y| image::Luma([(x * y) as u8])).save(bench.path("p.png")).unwrap();
    image::GrayImage::new(9, 9).save(bench.path("black.png")).unwrap();
    bench.table("t.csv");
    let before = bench.files();
    for (line, words) in [
        ("ct s.csv --angles-file four.csv", &["four.csv", "found 4 angles", "expected 5", "s.csv"][..]),
        ("ct s.csv --angles 7", &["signal.angles", "found 7", "expected 5"]),
        ("ct s.csv --detectors 9", &["signal.detectors", "found 9", "expected 8"]),
        ("ct s.csv --angles-file words.csv", &["words.csv", "line 2", "right"]),
        ("ct s.csv --angles-file gone.csv", &["gone.csv"]),
        ("ct s.csv --reference p.png", &["p.png", "16x16", "8x8"]),
        ("ct nan.csv", &["nan.csv", "line 2", "NaN"]),
        ("ct ragged.csv", &["ragged.csv", "line 2", "found 2", "expected 3"]),
        ("ct zero.csv", &["zero.csv", "0 on every detector"]),
        ("ct gone.npy", &["gone.npy"]),
        ("ct slice.dcm", &["slice.dcm", "DICOM"]),
        ("ct bare.dcm", &["bare.dcm", "no pixel data"]),
        ("ct black.png", &["black.png", "every pixel"]),
        ("ct p.png --size 64", &["p.png", "16x16", "--size"]),
        ("ct p.png --reference p.png", &["signal.reference", "sinogram"]),
        ("ct p.png --kind phantom --angles-file four.csv --angles 5", &["signal.angles", "found 5", "expected 4"]),
        ("ct t.csv --kind phantom", &["t.csv", "table"]),
        ("ct p.png --beam fan --source 1", &["signal.source", "right angle"]),
        ("ct --angles 0", &["signal.angles"]),
        ("ct --size 4", &["signal.size"]),
        ("ct --noise -1", &["signal.noise"]),
        ("ct p.png --randomise 1", &["signal.randomise"]),
        ("ct --resume gone.run", &["gone.run"]),
    ] {
        bench.refused(line, words);
    }
    assert_eq!(bench.files(), before, "nothing is left behind");
}

/// `RWF_DATA` names a folder of real data; without it there is nothing to test.
#[test]
fn a_dicom_slice_becomes_hounsfield_units_over_millimetres() {
    let slice = std::env::var_os("RWF_DATA").map(|data| std::path::Path::new(&data).join("ct/CT_small.dcm"));
    let Some(slice) = slice.filter(|s| s.exists()) else {
        eprintln!("skipped: set RWF_DATA to the folder of real data");
        return;
    };
    let bench = Bench::new();
    let said = bench.ok(&format!("ct {} -o slice.safetensors {SMALL} --steps 200", slice.display()));
    assert!(said.contains("SSIM"), "{said}");
    let info = bench.ok("info slice.safetensors");
    for word in ["HU", "mm", "attenuation"] {
        assert!(info.contains(word), "`{word}` is not in\n{info}");
    }
}
