pub enum ConvertError{}
