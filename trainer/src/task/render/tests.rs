use std::{path::Path, sync::atomic::AtomicBool};

use rwf_runtime::Model;
use toml::Table;

use super::*;
use crate::{
    config,
    engine::{Device, EngineChoice},
    evaluate::evaluate,
    signal::views::{Scene, SceneOptions},
    task::observed::{Place, Report, Request, run},
};

/// A tiny scene and what is asked of it, over the defaults.
struct Tiny {
    folder: tempfile::TempDir,
}

impl Tiny {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        Scene::write(&folder.path().join("views"), &SceneOptions { seed: 2, views: 10, test: 2, size: 24 }).unwrap();
        Self { folder }
    }

    fn config(&self, more: &str) -> Result<RunConfig<RenderConfig>> {
        let own = format!(
            "[signal]\npath = '{}'\nsize = 24\nsteps = 96\ncells = 24\nturntable = 3\n[network]\nhidden = 24\ndepth = 2
             [network.mapping]\nkind = 'gaussian'\nfrequencies = 16\nscale = 1.5
             [training]\nbatch = 256\nlearning_rate = 5e-3\nevaluate_every = 1000\nschedule = {{ kind = 'constant' }}",
            self.folder.path().join("views").display()
        );
        let layer = |text: &str| text.parse::<Table>().unwrap();
        config::resolve([RenderConfig::defaults(), layer(&own), layer(more)])
    }

    fn fit(&self, name: &str, more: &str) -> Report<Rendered> {
        let config = self.config(more).unwrap();
        let task = Box::new(Render::open(&config).unwrap());
        let out = self.folder.path().join(name).with_extension("safetensors");
        self.run(Request::New { task, config: Box::new(config), out, force: false })
    }

    fn resume(&self, name: &str, steps: u64) -> Report<Rendered> {
        let folder = self.folder.path().join(name).with_extension("run");
        self.run(Request::Resume { folder, steps: Some(steps), lbfgs: None })
    }

    fn run(&self, request: Request<Render>) -> Report<Rendered> {
        let place = Place { engine: EngineChoice::Fused, device: &Device::Cpu, name: "cpu" };
        run(request, place, &AtomicBool::new(false), true).unwrap()
    }
}

fn weights(path: &Path) -> Vec<u8> {
    let bytes = std::fs::read(path).unwrap();
    // The header tells how many steps ran at once; the tensors behind it must not differ.
    let header = u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize;
    bytes[8 + header..].to_vec()
}

#[test]
fn a_run_that_goes_on_comes_to_the_same_bits() {
    let tiny = Tiny::new();
    let whole = tiny.fit("whole", "[training]\nsteps = 70");
    // 37 lies between two looks at the grid, whose state must be taken up.
    tiny.fit("halved", "[training]\nsteps = 37");
    let halved = tiny.resume("halved", 70);
    assert_eq!(weights(&whole.out), weights(&halved.out));
    assert_eq!(whole.findings.held_out, halved.findings.held_out);
    for file in [VIEWS, TURNTABLE] {
        let bytes = |report: &Report<Rendered>| std::fs::read(report.folder.join(file)).unwrap();
        assert_eq!(bytes(&whole), bytes(&halved), "{file}");
    }
}

#[test]
fn a_scene_is_learned_and_its_file_gives_colours_and_densities_in_world_units() {
    for more in ["", "[signal]\ndirections = true\n"] {
        let tiny = Tiny::new();
        let report = tiny.fit("scene", &format!("{more}[training]\nsteps = 250"));
        let found = report.findings.held_out.unwrap();
        // What a picture of the mean colour alone reaches is 12 dB.
        // A picture of the mean colour alone reaches 12 dB. Directions of eight small views are learned by heart.
        assert!(found.views == 2 && (!more.is_empty() || found.psnr > 14.0), "{found:?}");
        let bytes = std::fs::read(&report.out).unwrap();
        let model = Model::new(&bytes).unwrap();
        assert!(model.self_test(&mut vec![0.0; model.batch_scratch_len()]).is_ok());
        let names: Vec<&str> = (0..4).map(|k| model.output(k).unwrap().name).collect();
        assert_eq!(names, ["red", "green", "blue", "density"]);
        // Up a line through the floor, and a place in the air that is seen to be empty.
        let line = (0..60).map(|i| [0.02, 0.03, -0.6 + 0.02 * i as f32]).chain([[0.6, 0.55, 0.9]]);
        let looking = |p: [f32; 3]| [&p[..], &[0.0, 0.0, -1.0][..model.inputs() - 3]].concat();
        let y = evaluate(&model, &line.flat_map(looking).collect::<Vec<f32>>());
        let (floor, air) = y.split_at(4 * 60);
        let densest = floor.chunks_exact(4).map(|v| v[3]).fold(0.0, f32::max);
        assert!(!more.is_empty() || densest > 5.0 * air[3].max(0.1), "{densest} {air:?}");
        assert!(y.chunks_exact(4).all(|v| v[3] >= 0.0 && v[..3].iter().all(|c| (0.0..=1.0).contains(c))));
    }
}

#[test]
fn impossible_settings_name_the_field() {
    let tiny = Tiny::new();
    for (text, word) in [
        ("[signal]\nbound = 0.0", "signal.bound"),
        ("[signal]\ncells = 0", "signal.cells"),
        ("[signal]\nhold_out = 1", "signal.hold_out"),
        ("[signal]\nbackground = 'green'", "green"),
        ("[signal]\nempty = -1.0", "signal.empty"),
    ] {
        let error = tiny.config(text).unwrap_err();
        assert!(error.to_string().contains(word) && error.exit_code() == 2, "{error}");
    }
    let open = |text: &str| Render::open(&tiny.config(text).unwrap()).unwrap_err().to_string();
    assert!(open("[network]\noutput_activation = 'identity'").contains("output_activation"));
}
