//! PLY: elements `vertex` with x, y, z and `face` with a list of vertex indices, in text or binary.

use std::io::BufReader;

use ply_rs_bw::{
    parser::{Parser, Reader},
    ply::{Property, PropertyAccess, PropertyAccessResult},
};

use super::{Mesh, Raw};

#[derive(Default)]
struct Vertex {
    place: [f64; 3],
}

impl PropertyAccess for Vertex {
    fn new() -> Self {
        Self::default()
    }

    fn set_property(&mut self, name: &str, value: Property) -> PropertyAccessResult {
        let Some(axis) = ["x", "y", "z"].iter().position(|n| *n == name) else { return PropertyAccessResult::Ignored };
        let number = match value {
            Property::Double(v) => Some(v),
            other => other.to_f32_lossy().map(f64::from),
        };
        let Some(number) = number else { return PropertyAccessResult::UnsupportedType };
        self.place[axis] = number;
        PropertyAccessResult::Set
    }
}

#[derive(Default)]
struct Face {
    indices: Vec<u32>,
}

impl PropertyAccess for Face {
    fn new() -> Self {
        Self::default()
    }

    fn set_property(&mut self, name: &str, value: Property) -> PropertyAccessResult {
        if !is_face_list(name) {
            return PropertyAccessResult::Ignored;
        }
        let Some(indices) = value.to_u32_list() else { return PropertyAccessResult::UnsupportedType };
        self.indices = indices;
        PropertyAccessResult::Set
    }
}

/// Both names are in use.
fn is_face_list(name: &str) -> bool {
    matches!(name, "vertex_indices" | "vertex_index")
}

/// Vertices and faces of the file.
pub(super) fn read(bytes: &[u8]) -> Result<Raw, String> {
    let bad = |e: ply_rs_bw::parser::ParseError| format!("no PLY file: {e}");
    let mut reader = Reader::new(BufReader::new(bytes));
    let (vertices, faces, others) = (Parser::<Vertex>::new(), Parser::<Face>::new(), Parser::<Nothing>::new());
    let header = vertices.read_header(&mut reader).map_err(bad)?;
    let has = |element: &str, property: &dyn Fn(&str) -> bool| {
        header.elements.get(element).is_some_and(|e| e.properties.iter().any(|(name, _)| property(name)))
    };
    for axis in ["x", "y", "z"] {
        if !has("vertex", &|name| name == axis) {
            return Err(format!("found no property `{axis}` of an element `vertex`, expected x, y and z"));
        }
    }
    if !has("face", &is_face_list) {
        return Err("found no list `vertex_indices` of an element `face`, expected a mesh".into());
    }
    let mut raw = Raw { vertices: Vec::new(), polygons: Vec::new() };
    for (name, element) in &header.elements {
        match name.as_str() {
            "vertex" => {
                let found = vertices.read_payload_for_element(&mut reader, element, &header).map_err(bad)?;
                raw.vertices = found.into_iter().map(|v| v.place).collect();
            }
            "face" => {
                let found = faces.read_payload_for_element(&mut reader, element, &header).map_err(bad)?;
                raw.polygons = found.into_iter().map(|f| f.indices).collect();
            }
            _ => drop(others.read_payload_for_element(&mut reader, element, &header).map_err(bad)?),
        }
    }
    Ok(raw)
}

/// An element that says nothing of a shape.
struct Nothing;

impl PropertyAccess for Nothing {
    fn new() -> Self {
        Self
    }
}

/// A mesh as a binary PLY file, little-endian.
pub fn write(mesh: &Mesh) -> Vec<u8> {
    let mut bytes = format!(
        "ply\nformat binary_little_endian 1.0\nelement vertex {}\nproperty float x\nproperty float y\nproperty float z\n\
         element face {}\nproperty list uchar int vertex_indices\nend_header\n",
        mesh.vertices.len(),
        mesh.triangles.len()
    )
    .into_bytes();
    for v in &mesh.vertices {
        v.iter().for_each(|x| bytes.extend((*x as f32).to_le_bytes()));
    }
    for t in &mesh.triangles {
        bytes.push(3);
        t.iter().for_each(|i| bytes.extend(i.to_le_bytes()));
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::{super::mesh::tests::torus, *};

    #[test]
    fn what_is_written_is_read_back() {
        let mesh = torus(5);
        let raw = read(&write(&mesh)).unwrap();
        let back = Mesh::new("back".into(), raw.vertices, &raw.polygons).unwrap();
        assert_eq!((back.triangles, back.vertices.len()), (mesh.triangles, mesh.vertices.len()));
    }

    #[test]
    fn text_with_doubles_colours_and_other_elements_is_understood() {
        let text = "ply\nformat ascii 1.0\ncomment scanned\nelement vertex 4\nproperty double x\nproperty double y\n\
                    property float z\nproperty uchar red\nelement face 1\nproperty list uchar uint vertex_index\n\
                    element edge 1\nproperty int a\nend_header\n0 0 0 255\n1 0 0 255\n1 1 0 9\n0 1 0.5 9\n4 0 1 2 3\n7\n";
        let raw = read(text.as_bytes()).unwrap();
        assert_eq!((raw.vertices[3], raw.polygons[0].as_slice()), ([0.0, 1.0, 0.5], &[0u32, 1, 2, 3][..]));
    }

    #[test]
    fn what_is_missing_is_named() {
        let with = |elements: &str| format!("ply\nformat ascii 1.0\n{elements}end_header\n");
        let points = "element vertex 1\nproperty float x\nproperty float y\nproperty float z\n";
        assert!(read(with(points).as_bytes()).err().unwrap().contains("vertex_indices"));
        assert!(read(with("element vertex 1\nproperty float x\n").as_bytes()).err().unwrap().contains("`y`"));
        let cut = with(&format!("{points}element face 1\nproperty list uchar int vertex_indices\n")) + "0 0 0\n";
        assert!(read(cut.as_bytes()).err().unwrap().contains("PLY"));
        assert!(read(b"obj").is_err());
    }
}
