//! The README against the manifest.

#[test]
fn the_table_lists_every_feature() {
    let (readme, manifest) = (include_str!("../../README.md"), include_str!("../../Cargo.toml"));
    let (_, features) = manifest.split_once("[features]\n").unwrap();
    let (features, _) = features.split_once("\n\n").unwrap();
    let mut names: Vec<_> = features.lines().filter_map(|line| Some(line.split_once(" = ")?.0)).collect();
    names.retain(|name| *name != "default");
    let rows: Vec<_> = readme.lines().filter_map(|line| line.strip_prefix("| `")?.split_once('`')).collect();
    assert_eq!(rows.iter().map(|(name, _)| *name).collect::<Vec<_>>(), names);
}
