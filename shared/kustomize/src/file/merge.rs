//! What kustomize-controller merges from a Flux Kustomization into a kustomization file.

use super::{Image, Kustomization};

impl Kustomization {
    /// Merges images by name, as kustomize-controller does (Flux's kustomize package 1.9.4).
    ///
    /// Names that the file lacks are appended. Otherwise `new_name` replaces the name when set, and tag and digest
    /// replace both of the file's as soon as one of them is set.
    pub fn merge_images(&mut self, images: impl IntoIterator<Item = Image>) {
        for image in images {
            let Some(old) = self.images.iter_mut().find(|old| old.name == image.name) else {
                self.images.push(image);
                continue;
            };
            if !image.new_name.is_empty() {
                old.new_name = image.new_name;
            }
            if !image.new_tag.is_empty() || !image.digest.is_empty() {
                old.new_tag = image.new_tag;
                old.digest = image.digest;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn image(new_name: &str, new_tag: &str, digest: &str) -> Image {
        Image {
            name: "app".into(),
            new_name: new_name.into(),
            new_tag: new_tag.into(),
            digest: digest.into(),
            ..Image::default()
        }
    }

    #[test]
    fn images_merge_as_in_flux() {
        for (file, spec, want) in [
            (image("", "v1", ""), image("r/app", "", ""), image("r/app", "v1", "")),
            (image("r/app", "", ""), image("", "v2", ""), image("r/app", "v2", "")),
            (image("", "", "d"), image("r/app", "", ""), image("r/app", "", "d")),
            (image("", "", "d"), image("", "v2", ""), image("", "v2", "")),
            (image("", "v1", ""), image("", "", "d"), image("", "", "d")),
            (image("r/app", "", "d"), image("", "v2", ""), image("r/app", "v2", "")),
            (image("", "v1", ""), image("", "v2", "d"), image("", "v2", "d")),
            (image("r/app", "v1", ""), image("", "", ""), image("r/app", "v1", "")),
        ] {
            let mut kustomization = Kustomization { images: vec![file.clone()], ..Kustomization::default() };
            kustomization.merge_images([spec.clone()]);
            assert_eq!(kustomization.images, [want], "{file:?} with {spec:?}");
        }
    }
}
