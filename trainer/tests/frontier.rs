//! `rwf frontier` as people run it: its figures against those of an own evaluation and an own JPEG.

mod common;

use common::Bench;
use image::codecs::jpeg::JpegEncoder;
use rwf_runtime::Model;

/// A row of frontier.csv.
struct Row {
    series: String,
    name: String,
    bytes: usize,
    psnr: f64,
    jpeg: Option<f64>,
}

fn rows(bench: &Bench, file: &str) -> Vec<Row> {
    let file = bench.read(file);
    let mut reader = csv::Reader::from_reader(file.as_slice());
    let row = |r: csv::StringRecord| Row {
        series: r[0].into(),
        name: r[1].into(),
        bytes: r[2].parse().unwrap(),
        psnr: r[3].parse().unwrap(),
        jpeg: r[4].parse().ok(),
    };
    reader.records().map(|r| row(r.unwrap())).collect()
}

/// In dB, of values from 0 to 255.
fn psnr(values: &[f64], pixels: &[u8]) -> f64 {
    let square: f64 = values.iter().zip(pixels).map(|(v, p)| (v - f64::from(*p)).powi(2)).sum();
    10.0 * (255.0f64.powi(2) * pixels.len() as f64 / square).log10()
}

/// A model's PSNR, pixel by pixel.
fn measured(file: &[u8], picture: &image::RgbImage) -> f64 {
    let model = Model::new(file).unwrap();
    let mut scratch = vec![0.0; model.scratch_len()];
    let values = picture.enumerate_pixels().flat_map(|(x, y, _)| {
        let mut rgb = [0.0; 3];
        model.eval(&[x as f32, y as f32], &mut rgb, &mut scratch).unwrap();
        rgb.map(f64::from)
    });
    psnr(&values.collect::<Vec<_>>(), picture.as_raw())
}

#[test]
fn models_stand_at_their_bytes_and_errors_beside_jpeg() {
    let bench = Bench::new();
    let picture = image::open(bench.image("a.png")).unwrap().into_rgb8();
    for hidden in [4, 16] {
        bench.ok(&format!(
            "fit a.png -o f16/{hidden}.safetensors --hidden {hidden} --depth 2 --precision f16 --steps 60"
        ));
        // A folder that is not there yet is no reason to fail.
        bench.ok(&format!("export f16/{hidden}.safetensors --pack -o packed/{hidden}.rwfz"));
    }
    let models = "f16/16.safetensors f16/4.safetensors packed/4.rwfz packed/16.rwfz";
    let said = bench.ok(&format!("frontier a.png {models} -o out"));
    for file in ["report.md", "report.html", "frontier.png", "frontier.csv"] {
        assert!(bench.path("out").join(file).is_file(), "{file}");
    }
    assert!(said.contains("JPEG is better in the bytes of") && said.contains("out/report.html"), "{said}");

    let rows = rows(&bench, "out/frontier.csv");
    let of = |series: &str| rows.iter().filter(|r| r.series == series).collect::<Vec<_>>();
    let (half, packed, jpeg) = (of("f16"), of("packed"), of("JPEG"));
    assert_eq!((half.len(), packed.len(), half.len() + packed.len() + jpeg.len()), (2, 2, rows.len()));
    for ((half, packed), hidden) in half.iter().zip(&packed).zip([4, 16]) {
        let file = bench.read(&format!("f16/{hidden}.safetensors"));
        assert_eq!(half.bytes, file.len());
        assert_eq!(packed.bytes, bench.read(&format!("packed/{hidden}.rwfz")).len());
        assert!((half.psnr - measured(&file, &picture)).abs() < 1e-3, "{} {}", half.psnr, measured(&file, &picture));
        assert!(packed.bytes < half.bytes && packed.psnr == half.psnr, "the same bits in fewer bytes");
    }
    assert!(half[0].bytes < half[1].bytes && half[0].psnr < half[1].psnr);

    // JPEG lies along the same bytes, is what an encoder makes of the picture, and no better fits a model's bytes.
    let (least, most) = (packed[0].bytes, half[1].bytes);
    assert!(jpeg.len() >= 4 && jpeg.windows(2).all(|w| w[0].bytes < w[1].bytes && w[0].psnr <= w[1].psnr));
    assert!(jpeg.iter().all(|j| j.bytes <= most), "above {most}, from {least} on");
    let mut whole = 0;
    for row in &jpeg {
        let Some(quality) = row.name.strip_prefix("JPEG 24x16 quality ") else { continue };
        let mut file = Vec::new();
        picture.write_with_encoder(JpegEncoder::new_with_quality(&mut file, quality.parse().unwrap())).unwrap();
        let back = image::load_from_memory(&file).unwrap().into_rgb8();
        let values: Vec<f64> = back.as_raw().iter().map(|v| f64::from(*v)).collect();
        assert_eq!(row.bytes, file.len(), "{}", row.name);
        assert!((row.psnr - psnr(&values, picture.as_raw())).abs() < 1e-3, "{}", row.name);
        whole += 1;
    }
    assert!(whole > 0, "no JPEG of full size");
    for model in half.iter().chain(&packed) {
        let best = jpeg.iter().filter(|j| j.bytes <= model.bytes).map(|j| j.psnr).max_by(f64::total_cmp);
        assert_eq!(model.jpeg, best, "{}", model.name);
    }
}

#[test]
fn what_is_no_picture_has_no_jpeg_and_a_model_of_another_signal_is_refused() {
    let bench = Bench::new();
    bench.table("t.csv");
    bench.image("a.png");
    bench.ok("fit t.csv --hidden 6 --depth 1 --steps 20");
    let said = bench.ok("frontier t.csv t.safetensors");
    assert!(said.contains("no picture"), "{said}");
    let rows = rows(&bench, "t.frontier/frontier.csv");
    assert!(rows.len() == 1 && rows[0].series == "models" && rows[0].jpeg.is_none());

    bench.refused("frontier a.png t.safetensors -o out", &["t.safetensors", "inputs"]);
    bench.refused("frontier t.csv t.run/checkpoint.safetensors -o out", &["checkpoint"]);
    bench.refused("frontier t.csv nowhere.rwfz -o out", &["nowhere.rwfz"]);
    bench.refused("frontier t.csv -o out", &["MODELS"]);
    assert!(!bench.path("out").exists(), "nothing half-written");
}
