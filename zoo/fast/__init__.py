"""What makes it fast: in each file a fast form beside its slow twin; `zoo.fast.twins.TWINS` has them all."""
