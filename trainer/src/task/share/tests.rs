use std::time::Duration;

use rwf_runtime::Operator;

use super::*;
use crate::engine::{Device, EngineChoice};

const PLACE: Place<'_> = Place { engine: EngineChoice::Auto, device: &Device::Cpu, name: "cpu" };
const I16: Modulation = Modulation::I16;

fn trained(components: usize) -> Source {
    Source::Trained { components, modulation: I16 }
}

/// A curve of a family with two numbers, at `n` places of its own.
fn curve(k: usize, n: usize) -> String {
    let [a, b] = [0.7, 1.3].map(|w| (w * k as f64).sin());
    let x = |i: usize| (i as f64 + 0.3 * (k as f64).sin().abs()) / n as f64 * 2.0 - 1.0;
    (0..n).map(x).map(|x| format!("{x},{}\n", (2.0 * x).sin() + a * (1.5 * x).cos() + 0.3 * b * x * x)).collect()
}

fn folder(signals: usize) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for k in 0..signals {
        std::fs::write(folder.path().join(format!("u{k:02}.csv")), format!("x[V],y[mm]\n{}", curve(k, 20 + k % 7)))
            .unwrap();
    }
    folder
}

fn request(folder: &Path, out: &Path, training: &str) -> many::Request {
    many::Request {
        folder: folder.into(),
        out: out.join("out"),
        options: signal::LoadOptions::default(),
        layers: vec![format!("[network]\nhidden = 12\ndepth = 2\n[training]\n{training}").parse().unwrap()],
        shard: None,
        force: false,
    }
}

fn go(request: &many::Request, source: &Source) -> Result<Report> {
    run(request, source, PLACE, &AtomicBool::new(false), true)
}

fn row(request: &many::Request, name: &str) -> many::Row {
    let file = request.out.join("results").join(format!("{name}.json"));
    serde_json::from_slice(&std::fs::read(file).unwrap()).unwrap()
}

/// What a device would do: integers from the file, the branch once, the trunk at each point.
#[test]
fn a_family_is_found_again_and_a_device_has_the_errors_that_are_told() {
    let (input, out) = (folder(24), tempfile::tempdir().unwrap());
    for (modulation, within) in [(I16, 5e-3), (Modulation::I8, 1.5e-2)] {
        let request = many::Request { force: true, ..request(input.path(), out.path(), "steps = 300\nlbfgs = 800") };
        let source = Source::Trained { components: 2, modulation };
        let report = go(&request, &source).unwrap();
        assert!(report.summary.failed.is_empty() && report.summary.missing.is_empty());
        assert_eq!(report.signal_bytes, 2 * modulation.size());
        // Two layers of 12 neurons and one output.
        assert_eq!(report.single_bytes, 4 * (24 + 156 + 13));
        let file = std::fs::read(request.out.join(BASE)).unwrap();
        let operator = Operator::new(&file).unwrap();
        let (mut latent, mut scratch) = (vec![0.0; operator.latent_len()], vec![0.0; operator.self_test_scratch_len()]);
        operator.self_test(&mut latent, &mut scratch).unwrap();
        for k in 0..24 {
            let row = row(&request, &format!("u{k:02}"));
            let bytes = std::fs::read(request.out.join(format!("modulations/u{k:02}.bin"))).unwrap();
            assert_eq!((bytes.len(), row.bytes), (report.signal_bytes, report.signal_bytes));
            let integers: Vec<f32> = match modulation {
                Modulation::I8 => bytes.iter().map(|&b| f32::from(b as i8)).collect(),
                I16 => bytes.chunks(2).map(|b| f32::from(i16::from_le_bytes([b[0], b[1]]))).collect(),
            };
            operator.encode(&integers, &mut latent, &mut scratch).unwrap();
            let signal = signal::load(&input.path().join(format!("u{k:02}.csv")), &request.options).unwrap();
            let (mut square, mut largest) = (0.0, 0.0f64);
            for (x, y) in signal.coordinates_f32().iter().zip(&signal.values) {
                let mut value = [0.0];
                operator.eval(&latent, &[*x], &mut value, &mut scratch).unwrap();
                let error = f64::from(value[0]) - f64::from(*y);
                square += error * error;
                largest = largest.max(error.abs());
            }
            // As text: a number that is read back may differ in its last bit.
            let told = std::fs::read_to_string(request.out.join(format!("results/u{k:02}.json"))).unwrap();
            let digits = |value: f64| serde_json::to_string(&value).unwrap();
            let expected =
                format!("\"rmse\":{},\"max\":{}", digits((square / signal.len() as f64).sqrt()), digits(largest));
            assert!(told.contains(&expected), "{told} {expected}");
            assert!(largest < within, "{modulation:?} {k}: {largest}");
        }
    }
}

#[test]
fn one_that_does_not_fit_stops_no_other_and_the_base_stands() {
    let (input, out) = (folder(8), tempfile::tempdir().unwrap());
    let write = |name: &str, text: &str| std::fs::write(input.path().join(name), text).unwrap();
    write("broken.csv", "x[V],y[mm]\n1,2\n3,abc\n");
    write("other.csv", &format!("t[s],y[mm]\n{}", curve(1, 20)));
    write("short.csv", "x[V],y[mm]\n-0.5,1\n0,0\n0.1,1\n0.5,1\n");
    let request = request(input.path(), out.path(), "steps = 20\nlbfgs = 0");
    let report = go(&request, &trained(5)).unwrap();
    let failed: Vec<&str> = report.summary.failed.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!((report.summary.jobs, failed), (11, vec!["broken", "other", "short"]));
    let why = |n: usize| report.summary.failed[n].1.as_str();
    assert!(why(0).contains("abc") && why(1).contains("t[s]") && why(1).contains("x[V]"), "{} {}", why(0), why(1));
    assert!(why(2).contains("4 values") && why(2).contains("at least 5"), "{}", why(2));
    let index = std::fs::read_to_string(request.out.join("index.csv")).unwrap();
    assert_eq!(index.lines().filter(|l| l.contains(",failed,")).count(), 3);

    // Mended, it is solved for on the base that is there; the rest is kept.
    write("broken.csv", &format!("x[V],y[mm]\n{}", curve(3, 20)));
    let before = std::fs::read(request.out.join(BASE)).unwrap();
    let again = go(&request, &trained(5)).unwrap();
    assert_eq!((again.summary.kept, again.summary.failed.len()), (10, 2));
    assert_eq!(std::fs::read(request.out.join(BASE)).unwrap(), before);
    assert_eq!(row(&request, "broken").bytes, 10);

    // Another base in its place only when that is asked for.
    let error = go(&request, &trained(4)).unwrap_err();
    assert!(error.exit_code() == 2 && error.to_string().contains("--force"), "{error}");
    go(&many::Request { force: true, ..request.clone() }, &trained(4)).unwrap();
    assert_eq!(row(&request, "broken").bytes, 8);
}

#[test]
fn an_interrupted_training_ends_with_the_same_bits() {
    let input = folder(12);
    for training in
        ["steps = 3000\nlbfgs = 0\nevaluate_every = 40\nbatch = 64", "steps = 30\nlbfgs = 400\nevaluate_every = 15"]
    {
        let (whole, cut) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let request = |out: &tempfile::TempDir| request(input.path(), out.path(), training);
        go(&request(&whole), &trained(2)).unwrap();
        let interrupt = AtomicBool::new(false);
        let ours = request(&cut);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                // Behind the second checkpoint, in the middle of L-BFGS where there is some.
                let log = ours.out.join("base.run/metrics.csv");
                while std::fs::read_to_string(&log).map_or(0, |text| text.lines().count()) < 4 {
                    std::thread::sleep(Duration::from_millis(1));
                }
                interrupt.store(true, Ordering::Relaxed);
            });
            let error = run(&ours, &trained(2), PLACE, &interrupt, true).unwrap_err();
            assert_eq!(error.exit_code(), 130, "{error}");
        });
        assert!(!ours.out.join(BASE).exists());
        go(&ours, &trained(2)).unwrap();
        for file in [BASE, "modulations/u00.bin", "modulations/u11.bin"] {
            let read = |request: many::Request| std::fs::read(request.out.join(file)).unwrap();
            assert!(read(request(&whole)) == read(request(&cut)), "{training}: {file}");
        }
    }
}

#[test]
fn a_given_base_takes_signals_it_has_not_seen_in_shards() {
    let (input, new, out) = (folder(10), tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let first = request(input.path(), out.path(), "steps = 300\nlbfgs = 300");
    go(&first, &trained(2)).unwrap();
    for k in 30..34 {
        std::fs::write(new.path().join(format!("n{k}.csv")), format!("x[V],y[mm]\n{}", curve(k, 25))).unwrap();
    }
    std::fs::write(new.path().join("wide.csv"), "x[V],y[mm]\n-1,0\n0,1\n1,2\n9,1\n").unwrap();
    let base = Source::Given(first.out.join(BASE));
    let mut second = many::Request { out: out.path().join("new"), ..request(new.path(), out.path(), "") };
    second.shard = Some("1/2".parse().unwrap());
    assert_eq!(go(&second, &base).unwrap().summary.jobs, 3);
    assert_eq!(many::merge(new.path(), &second.out).unwrap().missing, ["n31", "n33"]);
    second.shard = Some("2/2".parse().unwrap());
    go(&second, &base).unwrap();
    let merged = many::merge(new.path(), &second.out).unwrap();
    assert!(merged.missing.is_empty() && merged.failed.len() == 1, "{merged:?}");
    assert!(merged.failed[0].0 == "wide" && merged.failed[0].1.contains("to 9"), "{merged:?}");
    for k in 30..34 {
        assert!(row(&second, &format!("n{k}")).rmse < 5e-3, "{}", row(&second, &format!("n{k}")).rmse);
    }
}

#[test]
fn what_cannot_be_is_refused_before_anything_is_written() {
    let (input, out) = (folder(3), tempfile::tempdir().unwrap());
    let request = request(input.path(), out.path(), "steps = 2\nlbfgs = 0");
    let refused = |request: &many::Request, source: &Source, words: &[&str]| {
        let error = go(request, source).unwrap_err();
        assert_eq!(error.exit_code(), 2, "{error}");
        assert!(words.iter().all(|w| error.to_string().contains(w)), "{error}");
        assert!(!request.out.exists(), "{error}");
    };
    refused(&request, &trained(0), &["--share", "found 0", "1 to 22"]);
    refused(&request, &trained(23), &["found 23", "1 to 22"]);
    let shard = many::Request { shard: Some("1/2".parse().unwrap()), ..request.clone() };
    refused(&shard, &trained(2), &["--shard", "--base"]);
    for (layer, word) in [
        ("[network]\noutput_activation = 'tanh'", "output_activation"),
        ("[training]\ntarget_psnr = 30.0", "--target-psnr"),
        ("[signal]\nvalidation = 0.1", "validation"),
    ] {
        let layers = [request.layers.clone(), vec![layer.parse().unwrap()]].concat();
        refused(&many::Request { layers, ..request.clone() }, &trained(2), &[word]);
    }
    // Neither a signal, nor a network, nor the operator of another task is a base.
    let given = |name: &str, bytes: &[u8]| {
        let path = out.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        Source::Given(path)
    };
    refused(&request, &Source::Given(out.path().join("none")), &["none"]);
    refused(&request, &given("signal", b"x,y\n1,2\n"), &["signal", "no model", "--share"]);
    let single = folder(2);
    std::fs::remove_file(single.path().join("u01.csv")).unwrap();
    let alone = many::Request { folder: single.path().into(), ..request.clone() };
    refused(&alone, &trained(2), &["single signal"]);
    let models = many::Request { out: out.path().join("models"), ..request.clone() };
    let few = vec!["[network]\nhidden = 3\ndepth = 1\n[training]\nsteps = 2".parse().unwrap()];
    many::run(&many::Request { layers: few, ..models.clone() }, &AtomicBool::new(false), true).unwrap();
    let network = std::fs::read(models.out.join("u00.safetensors")).unwrap();
    refused(&request, &given("network", &network), &["network", "a coordinate network"]);
}
